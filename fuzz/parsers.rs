//! The fuzz target of cargo-fuzz: libFuzzer steers by coverage through the same table of parsers that
//! `examples/fuzz` runs without it.
//!
//! The rule that is not obvious: one program holds all parsers, and `FUZZ_TARGET` names the one that runs, because
//! building it once takes longer than fuzzing any of them for a minute.

#![no_main]

#[path = "../examples/fuzz/targets.rs"]
mod targets;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use targets::{TARGETS, Target};

static CHOSEN: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a parser");
    TARGETS.iter().find(|target| target.name == name).unwrap_or_else(|| panic!("{name} is no parser"))
});

fuzz_target!(|input: &[u8]| {
    (CHOSEN.parse)(input);
});
