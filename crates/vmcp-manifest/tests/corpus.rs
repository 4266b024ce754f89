//! Every file that the fuzzer has found worth keeping, and texts that were made to take memory or time, go through the fuzz
//! target once.

#[path = "../fuzz/fuzz_targets/walk.rs"]
mod walk;

#[global_allocator]
static MEMORY: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

/// Texts in which every byte is meant to cost more than it looks.
fn bombs() -> Vec<String> {
    const SIZES: [usize; 4] = [100, 5_000, 100_000, 1_000_000];
    let head = "name: a\ngroup: g\nincoming_auth: {type: anonymous}\n";
    let repeated = |piece: &str, size: usize| piece.repeat(size / piece.len());
    let mut bombs = Vec::new();
    for size in SIZES {
        for piece in [
            "a,",
            "*a,",
            "&a a,",
            "!a b,",
            "[],",
            "{},",
            "a: b,",
            "? ,",
            "'',",
            "\"\\u00e9\",",
            "[[",
            "{a: [",
            "é,",
            "\n",
            "- ",
            "-\n",
            "a: 1\n",
            "# c\n",
            "---\n",
            "--- a\n",
            "...\n",
            "%Y\n",
            "|\n",
            "a: |\n  x\n",
            "\t",
            "\u{feff}",
            "? a\n",
            ": a\n",
            "<<: *a\n",
        ] {
            let many = repeated(piece, size);
            bombs.push(many.clone());
            bombs.push(format!("[{many}]"));
            bombs.push(format!("{{{many}}}"));
            bombs.push(format!("{head}aggregation: {{tools: [{many}]}}\n"));
            bombs.push(format!("{head}backends: [{many}]\n"));
        }
        let overrides: String = (0..size / 16).map(|n| format!("t{n}: {{name: x}},")).collect();
        bombs.push(format!("{head}aggregation: {{tools: [{{workload: a, overrides: {{{overrides}}}}}]}}\n"));
        let order: String = (0..size / 6).map(|n| format!("w{n},")).collect();
        bombs.push(format!(
            "{head}aggregation: {{conflict_resolution: priority, conflict_resolution_config: {{priority_order: [{order}]}}}}\n---\nkind: group\nname: g\nworkloads: [{{name: z, url: 'http://h/'}}]\n"
        ));
        let backends: String = (0..size / 40).map(|n| format!("w{n}: {{type: unauthenticated}},")).collect();
        bombs.push(format!("{head}outgoing_auth: {{backends: {{{backends}}}}}\n"));
        // The laugh that doubles at every line.
        let laugh: String =
            (1..size / 40).map(|n| format!("l{n}: &l{n} [*l{}, *l{}]\n", n - 1, n - 1)).collect();
        bombs.push(format!("l0: &l0 [ha, ha]\n{laugh}"));
        bombs.push(format!("\"{}\": {}", "k".repeat(size), "v".repeat(size)));
        bombs.push(format!("{head}grou{}: x\n", "p".repeat(size)));
    }
    bombs
}

#[test]
fn catalog_07_no_text_takes_more_than_its_share_of_memory() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/manifest");
    let mut files = 0;
    for entry in fs_err::read_dir(folder).expect("the corpus") {
        walk::walk(&fs_err::read(entry.expect("a file").path()).expect("a text"), &MEMORY);
        files += 1;
    }
    assert!(files >= 10, "the corpus is missing: {files} files");
    for bomb in bombs() {
        let start = std::time::Instant::now();
        walk::walk(bomb.as_bytes(), &MEMORY);
        let (time, size) = (start.elapsed(), bomb.len());
        assert!(time.as_secs() < 20, "{time:?} for {size} bytes: {:.80}", bomb);
    }
}
