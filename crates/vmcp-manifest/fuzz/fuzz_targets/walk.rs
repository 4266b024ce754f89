//! What the fuzz target and the corpus test do with one input.

use peak_alloc::PeakAlloc;
use vmcp_manifest::{Source, import, read};

/// How many times its own size a text may take in memory.
const TIMES: usize = 64;

/// What even the smallest text may take: faults with their help, and the parser's own tables.
const ANYWAY: usize = 128 * 1024;

/// The same where policies are compiled.
const WITH_POLICIES: usize = 4 * 1024 * 1024;

/// Reads a text as a manifest and as a client's file. Every fault stands in the text, what a client's file becomes is a good
/// manifest, and reading takes memory in proportion to the text.
pub(crate) fn walk(bytes: &[u8], memory: &PeakAlloc) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let before = memory.current_usage();
    memory.reset_peak_usage();
    let outcome = read(&[Source { name: "fuzz.yaml", text }]);
    let taken = memory.peak_usage().saturating_sub(before);
    // Cedar's own tables, once.
    let anyway = if text.contains("authz") { WITH_POLICIES } else { ANYWAY };
    assert!(taken <= TIMES * text.len() + anyway, "{taken} bytes for {}: {:.80}", text.len(), text);
    if let Err(faults) = outcome {
        assert!(!faults.is_empty());
        for fault in faults {
            assert!(text.get(fault.place.range()).is_some(), "{fault:?}");
            assert!(fault.message.len() < 1_000 && fault.path.len() < 2_000, "{fault:?}");
        }
    }
    let Ok(name) = "mine".parse() else { return };
    if let Ok(imported) = import(&name, "fuzz.json", text) {
        let again = read(&[Source { name: "made.yaml", text: &imported.manifest }]);
        assert!(again.is_ok(), "{}\n{again:?}", imported.manifest);
    }
}
