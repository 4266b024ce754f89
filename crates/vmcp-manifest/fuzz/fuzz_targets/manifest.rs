//! `cargo fuzz run manifest`: no text panics, and none takes more than its share of memory.
#![no_main]

mod walk;

#[global_allocator]
static MEMORY: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

libfuzzer_sys::fuzz_target!(|text: &[u8]| walk::walk(text, &MEMORY));
