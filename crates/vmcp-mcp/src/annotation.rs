//! What `x-mcp-header` may say in a tool's input schema. A tool that breaks these rules is not used
//! (MCP 2026-07-28, Tools, x-mcp-header).

use http::HeaderName;
use vmcp_json::{Limits, Object, Value};

/// The annotation's name.
pub(crate) const ANNOTATION: &str = "x-mcp-header";

/// Why a tool with annotations is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// Not the name of a header.
    #[error("`x-mcp-header` is not the name of a header")]
    Name,
    /// Two annotations say the same, apart from case.
    #[error("two of its arguments are mirrored by one header")]
    Repeated,
    /// Something that has no text of its own, or `number`.
    #[error("`x-mcp-header` belongs to arguments of type string, integer or boolean")]
    Type,
    /// Not on a chain of `properties` from the root.
    #[error("`x-mcp-header` is where no argument is sure to be")]
    Place,
}

/// Looks at every annotation of a tool's definition.
///
/// # Errors
/// The first that breaks a rule.
pub fn check_annotations(definition: &[u8], limits: &Limits) -> Result<(), Misuse> {
    if memchr::memmem::find(definition, ANNOTATION.as_bytes()).is_none() {
        return Ok(());
    }
    let Ok(tool) = Object::parse(definition, limits) else { return Ok(()) };
    match tool.get("inputSchema").and_then(|schema| schema.as_object()) {
        Some(schema) => Checking::default().schema(&schema, Place::Root),
        None => Ok(()),
    }
}

/// Where a schema stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    /// On a chain of `properties` from the root.
    Argument,
    Elsewhere,
}

#[derive(Debug, Default)]
struct Checking {
    /// In lower case.
    names: Vec<String>,
}

impl Checking {
    /// Recursion ends where the definition does, whose depth is bounded.
    fn schema(&mut self, schema: &Object<'_>, place: Place) -> Result<(), Misuse> {
        for member in schema.members() {
            let within = member.value.as_object();
            match (member.name().as_ref(), within) {
                (ANNOTATION, _) => self.annotation(schema, member.value, place)?,
                ("properties", Some(properties)) => {
                    let place = if place == Place::Elsewhere { place } else { Place::Argument };
                    self.each(&properties, place)?;
                }
                ("patternProperties" | "$defs" | "definitions" | "dependentSchemas", Some(schemas)) => {
                    self.each(&schemas, Place::Elsewhere)?;
                }
                // Values, in which the word means nothing.
                ("default" | "const" | "enum" | "examples", _) => {}
                (_, Some(schema)) => self.schema(&schema, Place::Elsewhere)?,
                (_, None) => {
                    for schema in member.value.as_array().into_iter().flatten() {
                        if let Some(schema) = schema.as_object() {
                            self.schema(&schema, Place::Elsewhere)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn each(&mut self, schemas: &Object<'_>, place: Place) -> Result<(), Misuse> {
        for member in schemas.members() {
            if let Some(schema) = member.value.as_object() {
                self.schema(&schema, place)?;
            }
        }
        Ok(())
    }

    fn annotation(&mut self, schema: &Object<'_>, name: Value<'_>, place: Place) -> Result<(), Misuse> {
        if place != Place::Argument {
            return Err(Misuse::Place);
        }
        let name = name.as_str().ok_or(Misuse::Name)?.to_ascii_lowercase();
        name.parse::<HeaderName>().map_err(|_| Misuse::Name)?;
        if self.names.contains(&name) {
            return Err(Misuse::Repeated);
        }
        self.names.push(name);
        if schema.get("type").is_some_and(is_mirrored) { Ok(()) } else { Err(Misuse::Type) }
    }
}

/// One that has a text of its own, or `null`, which has no header.
fn is_mirrored(kind: Value<'_>) -> bool {
    let is_text =
        |kind: Value<'_>| matches!(kind.as_str().as_deref(), Some("string" | "integer" | "boolean"));
    let is_null = |kind: Value<'_>| kind.as_str().as_deref() == Some("null");
    let kinds = || kind.as_array().into_iter().flatten();
    is_text(kind) || (kinds().any(is_text) && kinds().all(|kind| is_text(kind) || is_null(kind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_whose_annotations_break_a_rule_says_which() {
        let check = |schema: &str| {
            let tool = format!(r#"{{"name":"t","inputSchema":{schema}}}"#);
            check_annotations(tool.as_bytes(), &Limits::new(10_000, 20))
        };
        let argument = |annotated: &str| check(&format!(r#"{{"properties":{{"a":{annotated}}}}}"#));
        for good in [
            r#"{"type":"string","x-mcp-header":"Region"}"#,
            r#"{"type":["integer","null"],"x-mcp-header":"N"}"#,
            r#"{"properties":{"deep":{"type":"boolean","x-mcp-header":"X"}}}"#,
            r#"{"default":{"x-mcp-header":""}}"#,
            r#"{"properties":{"x-mcp-header":{"type":"object"}}}"#,
        ] {
            assert_eq!(argument(good), Ok(()), "{good}");
        }
        for (name, why) in
            [("", Misuse::Name), ("a b", Misuse::Name), ("a:b", Misuse::Name), ("é", Misuse::Name)]
        {
            assert_eq!(argument(&format!(r#"{{"type":"string","x-mcp-header":"{name}"}}"#)), Err(why));
        }
        for kind in [r#""object""#, r#""array""#, r#""null""#, r#""number""#, r#"["string","number"]"#, "1"] {
            let found = argument(&format!(r#"{{"type":{kind},"x-mcp-header":"X"}}"#));
            assert_eq!(found, Err(Misuse::Type), "{kind}");
        }
        assert_eq!(argument(r#"{"x-mcp-header":"X"}"#), Err(Misuse::Type));
        assert_eq!(argument(r#"{"type":"string","x-mcp-header":7}"#), Err(Misuse::Name));
        let two = r#"{"properties":{"a":{"type":"string","x-mcp-header":"X"},"b":{"type":"string","x-mcp-header":"x"}}}"#;
        assert_eq!(check(two), Err(Misuse::Repeated));
        const ONE: &str = r#"{"type":"string","x-mcp-header":"X"}"#;
        for elsewhere in [
            format!(r#"{{"properties":{{"a":{{"items":{ONE}}}}}}}"#),
            format!(r#"{{"anyOf":[{ONE}]}}"#),
            format!(r#"{{"$defs":{{"d":{ONE}}}}}"#),
            format!(r#"{{"items":{{"properties":{{"a":{ONE}}}}}}}"#),
            ONE.to_owned(),
        ] {
            assert_eq!(check(&elsewhere), Err(Misuse::Place), "{elsewhere}");
        }
        assert_eq!(check_annotations(b"no JSON, x-mcp-header", &Limits::new(100, 2)), Ok(()));
    }
}
