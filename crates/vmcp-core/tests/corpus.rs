//! Every file that the fuzzer has found worth keeping goes through the fuzz target once.

#[path = "../fuzz/fuzz_targets/walk.rs"]
mod walk;

#[test]
fn catalog_07_the_corpus_of_prefix_formats_goes_through_the_fuzz_target() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/prefix");
    let mut files = 0;
    for entry in fs_err::read_dir(folder).unwrap() {
        walk::walk(&fs_err::read(entry.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files >= 10, "the corpus is missing: {files} files");
}
