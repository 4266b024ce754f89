//! What a legacy client has said that servers may ask of it (MCP 2025-11-25, Lifecycle, Capability Negotiation). It fits into a byte,
//! so that a session id carries it to any replica.

use vmcp_json::Object;
use vmcp_mcp::{extension, method};

/// The capabilities of a client that matter to servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Declared(u8);

const SAMPLING: u8 = 1;
const SAMPLING_TOOLS: u8 = 1 << 1;
const SAMPLING_CONTEXT: u8 = 1 << 2;
const FORMS: u8 = 1 << 3;
const URLS: u8 = 1 << 4;
const ROOTS: u8 = 1 << 5;
const ROOTS_CHANGED: u8 = 1 << 6;
const APPS: u8 = 1 << 7;

impl Declared {
    /// Out of `params.capabilities` of `initialize`.
    pub(crate) fn read(capabilities: &Object<'_>) -> Self {
        let has = |object: &Option<Object<'_>>, name: &str| {
            object.as_ref().is_some_and(|object| member(object, name).is_some())
        };
        let [sampling, elicitation, roots] =
            ["sampling", "elicitation", "roots"].map(|name| member(capabilities, name));
        // An empty object, as before 2025-11-25, means forms.
        let asks_by_form = has(&elicitation, "form") || (elicitation.is_some() && !has(&elicitation, "url"));
        let roots_change = roots.as_ref().and_then(|roots| roots.get("listChanged"));
        let shows_apps = has(&member(capabilities, "extensions"), extension::APPS);
        let flags = [
            (sampling.is_some(), SAMPLING),
            (has(&sampling, "tools"), SAMPLING_TOOLS),
            (has(&sampling, "context"), SAMPLING_CONTEXT),
            (asks_by_form, FORMS),
            (has(&elicitation, "url"), URLS),
            (roots.is_some(), ROOTS),
            (roots_change.is_some_and(|value| value.is_true()), ROOTS_CHANGED),
            (shows_apps, APPS),
        ];
        Self(flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).sum())
    }

    pub(crate) fn to_byte(self) -> u8 {
        self.0
    }

    pub(crate) fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// Whether a server may ask this of it.
    pub(crate) fn allows(self, name: &str) -> bool {
        match name {
            method::SAMPLE => self.has(SAMPLING),
            method::ELICIT => self.has(FORMS) || self.has(URLS),
            method::LIST_ROOTS => self.has(ROOTS),
            _ => false,
        }
    }

    /// As `initialize` says it.
    pub(crate) fn to_json(self) -> String {
        let members = |all: &[(u8, &str)]| {
            let named: Vec<&str> =
                all.iter().filter(|(flag, _)| self.has(*flag)).map(|(_, name)| *name).collect();
            named.join(",")
        };
        let sampling = members(&[(SAMPLING_TOOLS, "\"tools\":{}"), (SAMPLING_CONTEXT, "\"context\":{}")]);
        // Servers of 2025-06-18 know the empty object alone.
        let elicitation = match self.has(URLS) {
            true => members(&[(FORMS, "\"form\":{}"), (URLS, "\"url\":{}")]),
            false => String::new(),
        };
        let roots = members(&[(ROOTS_CHANGED, "\"listChanged\":true")]);
        let all = [
            (self.has(SAMPLING), format!("\"sampling\":{{{sampling}}}")),
            (self.has(FORMS) || self.has(URLS), format!("\"elicitation\":{{{elicitation}}}")),
            (self.has(ROOTS), format!("\"roots\":{{{roots}}}")),
            (
                self.has(APPS),
                format!("\"extensions\":{{\"{}\":{}}}", extension::APPS, extension::APPS_SETTINGS),
            ),
        ];
        let said: Vec<String> =
            all.into_iter().filter(|(is_said, _)| *is_said).map(|(_, text)| text).collect();
        format!("{{{}}}", said.join(","))
    }

    fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }
}

/// A member that is an object.
fn member<'a>(object: &Object<'a>, name: &str) -> Option<Object<'a>> {
    object.get(name).and_then(|value| value.as_object())
}

#[cfg(test)]
mod tests {
    use vmcp_core::limits;

    use super::*;

    fn read(text: &str) -> Declared {
        Declared::read(&Object::parse(text.as_bytes(), &limits::REQUEST).unwrap())
    }

    #[test]
    fn what_a_client_declares_is_what_servers_hear() {
        let same = [
            "{}",
            r#"{"sampling":{}}"#,
            r#"{"sampling":{"tools":{},"context":{}},"elicitation":{"form":{},"url":{}},"roots":{"listChanged":true}}"#,
            r#"{"elicitation":{}}"#,
            r#"{"elicitation":{"url":{}},"roots":{}}"#,
            r#"{"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html;profile=mcp-app"]}}}"#,
        ];
        for text in same {
            assert_eq!(read(text).to_json(), text);
            assert_eq!(Declared::from_byte(read(text).to_byte()), read(text));
        }
        assert_eq!(
            read(r#"{"elicitation":{"form":{}},"experimental":{"x":{}}}"#).to_json(),
            r#"{"elicitation":{}}"#
        );
        assert_eq!(read(r#"{"sampling":true,"roots":{"listChanged":false}}"#).to_json(), r#"{"roots":{}}"#);
    }

    #[test]
    fn only_what_was_declared_may_be_asked() {
        let all = [method::SAMPLE, method::ELICIT, method::LIST_ROOTS, "other/thing"];
        let allowed = |text: &str| all.map(|name| read(text).allows(name));
        assert_eq!(allowed("{}"), [false; 4]);
        assert_eq!(allowed(r#"{"sampling":{}}"#), [true, false, false, false]);
        assert_eq!(allowed(r#"{"elicitation":{"url":{}},"roots":{}}"#), [false, true, true, false]);
    }
}
