//! What the fuzz target and the corpus test do with one input.

use vmcp_json::{Edits, Kind, Limits, Object, Value};

/// Walks everything that can be walked, and holds every range to what it claims.
pub(crate) fn walk(text: &[u8]) {
    let lenient = Limits::new(1 << 20, 64).with_lone_surrogates();
    let Ok(value) = Value::parse(text, &lenient) else { return };
    descend(text, value);
    if let Ok(object) = Object::parse(text, &Limits::new(1 << 20, 64)) {
        assert_eq!(Edits::new().apply(text), text);
        let mut edits = Edits::new();
        edits.remove(&object, |_| true);
        edits.add(&object, "added", b"[1]");
        let changed = edits.apply(text);
        assert!(Object::parse(&changed, &Limits::new(1 << 20, 64)).is_ok_and(|object| object.len() == 1));
        let mut edits = Edits::new();
        object.members().for_each(|member| edits.replace(member.value, b"{}"));
        let changed = edits.apply(text);
        assert!(
            Object::parse(&changed, &Limits::new(1 << 20, 64)).is_ok_and(|same| same.len() == object.len())
        );
    }
}

fn descend(text: &[u8], value: Value<'_>) {
    assert_eq!(&text[value.range()], value.raw().as_bytes());
    match value.kind() {
        Kind::Object => {
            let object = value.as_object().expect("kind and reading agree");
            object.duplicate();
            object.members().for_each(|member| {
                assert!(member.is_named(&member.name()));
                descend(text, member.value);
            });
        }
        Kind::Array => {
            value.as_array().expect("kind and reading agree").for_each(|value| descend(text, value))
        }
        Kind::String => drop(value.as_str().expect("kind and reading agree")),
        Kind::Number | Kind::Boolean | Kind::Null => drop(value.as_i64()),
    }
}
