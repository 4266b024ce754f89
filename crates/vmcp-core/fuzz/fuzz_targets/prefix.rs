//! `cargo fuzz run prefix`: no prefix format panics, and what one makes of a name is what it says.
#![no_main]

mod walk;

libfuzzer_sys::fuzz_target!(|text: &[u8]| walk::walk(text));
