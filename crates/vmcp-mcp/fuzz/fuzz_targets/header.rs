//! `cargo fuzz run header`: see `walk.rs`.
#![no_main]

mod walk;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| walk::header(bytes));
