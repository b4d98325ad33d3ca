//! An incident's life.
