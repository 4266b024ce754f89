//! Every file that is worth keeping for the fuzz target goes through it once.

#![expect(clippy::expect_used, reason = "a test may panic")]

#[path = "../fuzz/fuzz_targets/walk.rs"]
mod walk;

#[test]
fn the_corpus_goes_through_the_fuzz_target() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/sealed");
    let mut files = 0;
    for entry in fs_err::read_dir(folder).unwrap() {
        walk::walk(&fs_err::read(entry.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files > 20, "the corpus is missing: {files} files");
}
