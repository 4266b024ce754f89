//! How a file is called, how it begins, how long it is, and what it must not have.

use std::path::Path;

/// Names that say nothing.
const NAMELESS: &[&str] =
    &["mod.rs", "util.rs", "utils.rs", "common.rs", "helpers.rs", "types.rs", "misc.rs"];

/// A file that is longer holds more than one idea. Tests may be as long as their tables.
const LONGEST: usize = 400;

/// Files that may name the generated types of the publish protocol.
const KNOWS_GENERATED: &[&str] = &["crates/vmcp-revision/src/codec.rs"];

/// What is wrong with a file. `file` is relative to the repository.
pub(super) fn check(file: &Path, text: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_test = file
        .components()
        .any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "stories" | "tests.rs")));
    if NAMELESS.contains(&name) {
        breaches.push(format!("`{name}` does not say what is in it: name the idea"));
    }
    if file.components().any(|part| part.as_os_str() == "generated") {
        return breaches;
    }
    let begins = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if !begins.starts_with("//! ") && name != "tests.rs" {
        breaches.push("does not begin with `//!` and what it is".to_owned());
    }
    let lines = text.lines().count();
    if lines > LONGEST && !is_test {
        breaches
            .push(format!("has {lines} lines; {LONGEST} are comfortable: cut it where a second idea begins"));
    }
    if text.contains(concat!("vmcp_", "proto::"))
        && !KNOWS_GENERATED.iter().any(|known| file == Path::new(known))
    {
        breaches.push("names generated types, which only the codec may".to_owned());
    }
    for word in [concat!("#[", "ignore"), concat!("FIX", "ME"), concat!("XX", "X")] {
        if text.contains(word) {
            breaches.push(format!("has `{word}`: finish it or leave it out"));
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_one(file: &str, text: &str) -> Vec<String> {
        check(Path::new(file), text)
    }

    #[test]
    fn a_good_file_has_no_breach() {
        assert_eq!(check_one("crates/a/src/names.rs", "//! Names.\n\nfn a() {}\n"), Vec::<String>::new());
        assert_eq!(check_one("crates/a/src/names/tests.rs", "use super::*;\n"), Vec::<String>::new());
    }

    #[test]
    fn a_name_that_says_nothing_is_found() {
        for name in NAMELESS {
            assert!(
                check_one(&format!("crates/a/src/{name}"), "//! Things.\n")[0].contains("does not say"),
                "{name}"
            );
        }
    }

    #[test]
    fn a_file_without_a_first_sentence_is_found() {
        for text in ["fn a() {}\n", "", "// Names.\n", "\n\nuse a;\n//! Late.\n"] {
            assert_eq!(check_one("a/b.rs", text), ["does not begin with `//!` and what it is"], "{text:?}");
        }
    }

    #[test]
    fn a_large_room_is_found_unless_it_is_a_test() {
        let text = format!("//! Long.\n{}", "\n".repeat(LONGEST));
        assert!(check_one("a/src/b.rs", &text)[0].contains("401 lines"));
        assert_eq!(check_one("a/src/b/tests.rs", &text), Vec::<String>::new());
        assert_eq!(check_one("tests/stories/b.rs", &text), Vec::<String>::new());
    }

    #[test]
    fn generated_types_outside_the_codec_are_found() {
        let text = concat!("//! Wrong.\nuse vmcp_", "proto::v1;\n");
        assert_eq!(
            check_one("data-plane/src/follow.rs", text),
            ["names generated types, which only the codec may"]
        );
        assert_eq!(check_one(KNOWS_GENERATED[0], text), Vec::<String>::new());
    }

    #[test]
    fn unfinished_words_are_found() {
        for word in [concat!("#[", "ignore]"), concat!("// FIX", "ME"), concat!("// XX", "X")] {
            assert!(check_one("a/b.rs", &format!("//! A.\n{word}\n"))[0].contains("finish it"), "{word}");
        }
    }
}
