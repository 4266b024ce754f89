//! For sentences that people read: what somebody may have meant, and what others have written, shown safely.

/// Longer texts are nobody's slip of the finger.
const LONGEST: usize = 128;

/// Enough of a text to know it by.
const ENOUGH: usize = 160;

/// Names in one sentence.
const NAMED: usize = 5;

/// Characters that may differ.
const FARTHEST: usize = 3;

/// The nearest of what is known, if it is near: at most a third of it differs, and at most three characters.
pub fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if text.len() > LONGEST {
        return None;
    }
    let is_like = |known: &&str| known.len() <= LONGEST && known.len().abs_diff(text.len()) <= FARTHEST;
    let short = known.into_iter().filter(is_like);
    let measured = short.map(|known| (strsim::damerau_levenshtein(known, text), known));
    let (distance, known) = measured.min_by_key(|(distance, _)| *distance)?;
    (distance <= (known.len().max(text.len()) / 3).min(FARTHEST)).then_some(known)
}

/// What somebody else wrote, so that it can stand in a sentence: on one line, bounded, and without what a terminal would
/// obey.
pub fn shown(text: &str) -> String {
    if text.len() <= ENOUGH && text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'\\') {
        return text.to_owned();
    }
    let start: String = text.chars().take(ENOUGH).collect();
    let dots = if start.len() < text.len() { "…" } else { "" };
    format!("{}{dots}", plain(&start))
}

/// The same without a bound.
pub fn plain(text: &str) -> String {
    text.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\"")
}

/// `a, b and c`, or the first of them and how many more.
pub fn enumerate(names: impl ExactSizeIterator<Item = String>) -> String {
    let count = names.len();
    let mut named: Vec<String> = names.take(NAMED).collect();
    match count - named.len() {
        0 if count > 1 => {
            let last = named.pop().unwrap_or_default();
            format!("{} and {last}", named.join(", "))
        }
        0 => named.concat(),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near_is_meant() {
        for (text, meant) in [("grup", Some("group")), ("naem", Some("name")), ("xyz", None), ("", None)] {
            assert_eq!(nearest(text, ["name", "group"]), meant, "{text}");
        }
        assert_eq!(nearest(&"a".repeat(1000), ["a"]), None);
    }

    #[test]
    fn what_others_wrote_obeys_nobody() {
        assert_eq!(shown("it's \"x\"\n\u{1b}[31m\u{200b}"), "it's \"x\"\\n\\u{1b}[31m\\u{200b}");
        assert_eq!(shown(&"ä".repeat(161)), format!("{}…", "ä".repeat(160)));
    }

    #[test]
    fn many_names_are_few_and_a_number() {
        let many = |count: usize| enumerate((0..count).map(|n| n.to_string()));
        for (count, text) in
            [(0, ""), (1, "0"), (2, "0 and 1"), (5, "0, 1, 2, 3 and 4"), (9, "0, 1, 2, 3, 4 and 4 more")]
        {
            assert_eq!(many(count), text);
        }
    }
}
