//! Against serde_json: the same texts are accepted, the same members are found, and a splice changes one member only.

use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::test_runner::Config;
use serde_json::Value as Reference;
use vmcp_json::{Edits, Limits, Object, Value, quote};

const LIMITS: Limits = Limits::new(1 << 20, 64);

fn json() -> impl Strategy<Value = Reference> {
    let leaf = prop_oneof![
        Just(Reference::Null),
        any::<bool>().prop_map(Reference::from),
        any::<i64>().prop_map(Reference::from),
        any::<String>().prop_map(Reference::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Reference::from),
            prop::collection::vec((any::<String>(), inner), 0..8)
                .prop_map(|members| Reference::Object(members.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Reference> {
    prop::collection::vec((any::<String>(), json()), 0..20)
        .prop_map(|members| Reference::Object(members.into_iter().collect()))
}

/// Texts that are nearly JSON, which is where readers disagree.
fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &[&[u8]] = &[
        b"{\"a\":1}",
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b":",
        b"\"",
        b"\\u00",
        b"\\ud834\\udd1e",
        b"\\ud800",
        b"1E-5",
        b"-0.0",
        b" \n",
        b"true",
        b"null",
        b"\xff",
        b"\"x\"",
        b"00",
        b"\x01",
    ];
    let bytes = prop::sample::select(PIECES);
    prop::collection::vec(bytes, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(Config { cases: 1_000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn accepts_what_serde_json_accepts(text in prop_oneof![nearly_json(), prop::collection::vec(any::<u8>(), 0..40)]) {
        let ours = Value::parse(&text, &LIMITS).is_ok();
        // A number that no `f64` holds is still a number (RFC 8259 section 6).
        let theirs = match serde_json::from_slice::<Reference>(&text) {
            Ok(_) => true,
            Err(error) if error.to_string().starts_with("number out of range") => {
                serde_json::from_slice::<&serde_json::value::RawValue>(&text).is_ok()
            }
            Err(_) => false,
        };
        prop_assert_eq!(ours, theirs, "{:?}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn finds_the_members_that_serde_json_finds(reference in object(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_vec_pretty(&reference) } else { serde_json::to_vec(&reference) }.unwrap();
        let ours = Object::parse(&text, &LIMITS).unwrap();
        let theirs = reference.as_object().unwrap();
        prop_assert_eq!(ours.len(), theirs.len());
        prop_assert_eq!(ours.duplicate(), None);
        for (name, value) in theirs {
            let found = ours.get(name).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Reference>(found.raw()).unwrap(), value);
            prop_assert_eq!(&text[found.range()], found.raw().as_bytes());
        }
    }

    #[test]
    fn strings_and_arrays_read_as_serde_json_reads_them(texts in prop::collection::vec(any::<String>(), 0..8)) {
        let written = format!("[{}]", texts.iter().map(|text| quote(text)).collect::<Vec<_>>().join(" , "));
        prop_assert_eq!(&serde_json::from_str::<Vec<String>>(&written).unwrap(), &texts);
        let value = Value::parse(written.as_bytes(), &LIMITS).unwrap();
        let ours: Vec<String> = value.as_array().unwrap().map(|item| item.as_str().unwrap().into_owned()).collect();
        prop_assert_eq!(ours, texts);
    }

    #[test]
    fn a_splice_changes_one_member_only(reference in object(), index in any::<prop::sample::Index>(), with in json()) {
        let theirs = reference.as_object().unwrap();
        if theirs.is_empty() {
            return Ok(());
        }
        let name = theirs.keys().nth(index.index(theirs.len())).unwrap();
        let text = serde_json::to_vec_pretty(&reference).unwrap();
        let ours = Object::parse(&text, &LIMITS).unwrap();

        let with_text = serde_json::to_vec(&with).unwrap();
        let mut edits = Edits::new();
        let range = ours.get(name).unwrap().range();
        edits.replace(ours.get(name).unwrap(), &with_text);
        let spliced = [&text[..range.start], &with_text, &text[range.end..]].concat();
        prop_assert_eq!(edits.apply(&text), spliced, "every other byte stays");

        let mut edits = Edits::new();
        edits.remove(&ours, |member| member == name);
        let mut expected = reference.clone();
        expected.as_object_mut().unwrap().remove(name);
        prop_assert_eq!(serde_json::from_slice::<Reference>(&edits.apply(&text)).unwrap(), expected);

        let mut edits = Edits::new();
        edits.add(&ours, "\u{0}new", &with_text);
        let mut expected = reference.clone();
        expected["\u{0}new"] = with;
        prop_assert_eq!(serde_json::from_slice::<Reference>(&edits.apply(&text)).unwrap(), expected);
    }

    #[test]
    fn any_set_of_members_is_removed_cleanly(reference in object(), keep in any::<u32>()) {
        let text = serde_json::to_vec(&reference).unwrap();
        let ours = Object::parse(&text, &LIMITS).unwrap();
        let names: Vec<String> = ours.members().map(|member| member.name().into_owned()).collect();
        let kept = |name: &str| names.iter().position(|known| known == name).is_some_and(|at| keep >> at & 1 == 1);
        let mut edits = Edits::new();
        edits.remove(&ours, |name| !kept(name));
        edits.add(&ours, "\u{0}one", b"1");
        edits.add(&ours, "\u{0}two", b"2");
        let rest: Reference = serde_json::from_slice(&edits.apply(&text)).unwrap();
        let mut expected = reference.clone();
        expected.as_object_mut().unwrap().retain(|name, _| kept(name));
        expected["\u{0}one"] = 1.into();
        expected["\u{0}two"] = 2.into();
        prop_assert_eq!(rest, expected);
    }

    #[test]
    fn a_name_written_twice_is_found_however_it_is_escaped(name in "[a-z]{1,6}", others in 0..40_usize) {
        let escaped: String = name.chars().map(|letter| format!("\\u{:04x}", letter as u32)).collect();
        let others: String = (0..others).map(|n| format!("\"{n}\":{n},")).collect();
        let text = format!("{{\"{escaped}\":1,{others}\"{name}\":2}}");
        let object = Object::parse(text.as_bytes(), &LIMITS).unwrap();
        prop_assert!(object.duplicate().is_some_and(|found| found == name.as_str()));
    }
}
