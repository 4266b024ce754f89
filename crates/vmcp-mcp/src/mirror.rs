//! Arguments that headers mirror: `x-mcp-header` in a tool's input schema
//! (MCP 2026-07-28, Streamable HTTP, Custom Headers from Tool Parameters).

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};
use vmcp_json::{Kind, Limits, Object, Value};

use crate::annotation::ANNOTATION;
use crate::header::{self, Mismatch, PARAM_PREFIX};

/// One argument, and the header that mirrors it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    header: HeaderName,
    /// The chain of `properties` keys that leads to it.
    path: Vec<String>,
}

/// What a tool's definition has mirrored. Annotations that break the rules of [`crate::check_annotations`] count for nothing here.
pub fn mirrors(definition: &[u8], limits: &Limits) -> Vec<Mirror> {
    let mut found = Vec::new();
    if memchr::memmem::find(definition, ANNOTATION.as_bytes()).is_none() {
        return found;
    }
    let Ok(tool) = Object::parse(definition, limits) else { return found };
    if let Some(schema) = tool.get("inputSchema").and_then(|schema| schema.as_object()) {
        collect(&schema, &mut Vec::new(), &mut found);
    }
    found
}

/// Recursion ends where the definition does, whose depth is bounded.
fn collect(schema: &Object<'_>, path: &mut Vec<String>, found: &mut Vec<Mirror>) {
    let Some(properties) = schema.get("properties").and_then(|properties| properties.as_object()) else {
        return;
    };
    for property in properties.members() {
        let Some(schema) = property.value.as_object() else { continue };
        path.push(property.name().into_owned());
        let name = schema.get(ANNOTATION).and_then(|name| name.as_str());
        let header = name.and_then(|name| format!("{PARAM_PREFIX}{name}").parse::<HeaderName>().ok());
        found.extend(header.map(|header| Mirror { header, path: path.clone() }));
        collect(&schema, path, found);
        path.pop();
    }
}

impl Mirror {
    /// Holds the header to the argument.
    ///
    /// # Errors
    /// Any [`Mismatch`]; a header without an argument is one, too.
    pub fn check(&self, headers: &HeaderMap, arguments: Option<&Object<'_>>) -> Result<(), Mismatch> {
        let header = header::value(headers, &self.header)?;
        let argument = self.argument(arguments)?;
        match (header, argument) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err(Mismatch::Missing(self.header.clone())),
            (Some(header), Some(argument)) if agree(&header, &argument) => Ok(()),
            (Some(header), argument) => Err(Mismatch::Differs {
                name: self.header.clone(),
                header: header.into_owned(),
                body: argument.map(Cow::into_owned).unwrap_or_default(),
            }),
        }
    }

    /// Sets the header as the argument wants it.
    ///
    /// # Errors
    /// [`Mismatch::Repeated`]: the argument is written twice.
    pub fn write(&self, headers: &mut HeaderMap, arguments: Option<&Object<'_>>) -> Result<(), Mismatch> {
        if let Some(argument) = self.argument(arguments)? {
            headers.insert(self.header.clone(), header::encode(&argument));
        }
        Ok(())
    }

    /// The argument's text; `None` if it is absent, `null`, or nothing that a header can mirror.
    fn argument<'a>(&self, arguments: Option<&Object<'a>>) -> Result<Option<Cow<'a, str>>, Mismatch> {
        let mut object = arguments.cloned();
        let mut value: Option<Value<'a>> = None;
        for name in &self.path {
            let Some(within) = object.take() else { return Ok(None) };
            if within.members().filter(|member| member.is_named(name)).count() > 1 {
                return Err(Mismatch::Repeated(self.header.clone()));
            }
            value = within.get(name);
            object = value.and_then(|value| value.as_object());
        }
        Ok(value.and_then(|value| match value.kind() {
            Kind::String => value.as_str(),
            Kind::Number | Kind::Boolean => Some(Cow::Borrowed(value.raw())),
            Kind::Null | Kind::Object | Kind::Array => None,
        }))
    }
}

/// `42.0` and `42` are the same number; everything else is the same text.
fn agree(header: &str, argument: &str) -> bool {
    let numbers = || Some((header.parse::<f64>().ok()?, argument.parse::<f64>().ok()?));
    header == argument || numbers().is_some_and(|(header, argument)| header == argument)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const LIMITS: Limits = Limits::new(4096, 32);
    const TOOL: &str = r#"{"name":"t","inputSchema":{"properties":{
        "region":{"type":"string","x-mcp-header":"Region"},
        "deep":{"properties":{"n":{"type":"integer","x-mcp-header":"N"}}},
        "list":{"items":{"properties":{"x":{"x-mcp-header":"Unreachable"}}}},
        "bad":{"x-mcp-header":"not a token"}}}}"#;

    fn check(headers: &[(&'static str, &'static str)], arguments: &str) -> bool {
        let headers: HeaderMap =
            headers.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect();
        let arguments = Object::parse(arguments.as_bytes(), &LIMITS).unwrap();
        mirrors(TOOL.as_bytes(), &LIMITS)
            .iter()
            .all(|mirror| mirror.check(&headers, Some(&arguments)).is_ok())
    }

    #[test]
    fn only_what_is_reachable_through_properties_is_mirrored() {
        let found = mirrors(TOOL.as_bytes(), &LIMITS);
        let names: Vec<&str> = found.iter().map(|mirror| mirror.header.as_str()).collect();
        assert_eq!(names, ["mcp-param-region", "mcp-param-n"]);
        assert_eq!(mirrors(br#"{"name":"t"}"#, &LIMITS), []);
    }

    #[test]
    fn headers_and_arguments_agree_or_are_refused() {
        let both = r#"{"region":"Zürich","deep":{"n":42}}"#;
        let encoded = "=?base64?WsO8cmljaA==?=";
        assert!(check(&[("mcp-param-region", encoded), ("mcp-param-n", "42")], both));
        assert!(check(&[("mcp-param-region", encoded), ("mcp-param-n", "42.0")], both));
        assert!(check(&[("mcp-param-other", "x")], "{}"));
        assert!(check(&[], r#"{"region":null,"deep":{}}"#));
        for headers in [
            &[("mcp-param-region", encoded)][..],
            &[("mcp-param-region", "Bern"), ("mcp-param-n", "42")],
            &[("mcp-param-region", encoded), ("mcp-param-n", "43")],
            &[("mcp-param-region", "=?base64?!?="), ("mcp-param-n", "42")],
        ] {
            assert!(!check(headers, both), "{headers:?}");
        }
        assert!(!check(&[("mcp-param-region", "x")], "{}"), "a header without an argument");
        assert!(!check(&[("mcp-param-region", "a")], r#"{"region":"a","region":"b"}"#));
    }

    #[test]
    fn what_is_written_is_accepted() {
        let arguments = Object::parse(br#"{"region":" x ","deep":{"n":7}}"#, &LIMITS).unwrap();
        let mut headers = HeaderMap::new();
        for mirror in mirrors(TOOL.as_bytes(), &LIMITS) {
            mirror.write(&mut headers, Some(&arguments)).unwrap();
            mirror.check(&headers, Some(&arguments)).unwrap();
        }
        assert_eq!(headers.len(), 2);
    }
}
