//! Every file that is worth keeping for a fuzz target goes through it once.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../fuzz/fuzz_targets/walk.rs"]
mod walk;

fn through(target: &str, walk: fn(&[u8])) {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut files = 0;
    for entry in fs_err::read_dir(folder).unwrap() {
        walk(&fs_err::read(entry.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files > 20, "the corpus is missing: {files} files");
}

#[test]
fn the_corpora_go_through_the_fuzz_targets() {
    through("envelope", walk::envelope);
    through("events", walk::events);
    through("header", walk::header);
}
