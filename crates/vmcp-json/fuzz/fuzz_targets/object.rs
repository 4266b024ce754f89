//! `cargo fuzz run object`: no text panics, and every range is what it claims to be.
#![no_main]

mod walk;

libfuzzer_sys::fuzz_target!(|text: &[u8]| walk::walk(text));
