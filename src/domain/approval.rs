//! Who may approve.
