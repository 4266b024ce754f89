//! A text, or a reference to where a secret is found.

use vmcp_core::desired::{Found, Text};

use crate::decode::Key::Built;
use crate::decode::{Decoder, Table};
use crate::tree::{Node, Value};

pub(crate) const REFERENCE: Table =
    Table { name: "Reference", keys: &[Built("env"), Built("file"), Built("prefix")] };

/// `text`, `{env: NAME}`, `{file: PATH}`, or one of these with a `prefix`.
pub(super) fn text(decoder: &mut Decoder, node: &Node, path: &str) -> Option<Text> {
    if !matches!(node.value, Value::Mapping(_)) {
        return decoder.text(node, path).map(Text::Plain);
    }
    let fields = decoder.mapping(node, path, &REFERENCE)?;
    let before = fields.get("prefix").map(|(node, path)| decoder.text(node, &path));
    let variable = fields.get("env").map(|(node, path)| {
        let name: String = decoder.text(node, &path)?;
        if !is_variable(&name) {
            decoder.fault(&node.place, &path, "this cannot be the name of a variable".to_owned(), None);
            return None;
        }
        Some(noted(decoder, node, &path, Found::Variable(name)))
    });
    let file = fields.get("file").map(|(node, path)| {
        let file = decoder.text(node, &path).map(Found::File)?;
        Some(noted(decoder, node, &path, file))
    });
    let found = match (variable, file) {
        (Some(found), None) | (None, Some(found)) => found?,
        (None, None) | (Some(_), Some(_)) => {
            let message = "a secret is found either in `env` or in `file`".to_owned();
            let help = "write `{env: NAME}` or `{file: PATH}`".to_owned();
            decoder.fault(fields.place, path, message, Some(help));
            return None;
        }
    };
    let before = before.unwrap_or_else(|| Some(String::new()))?;
    Some(Text::Secret { before, found })
}

/// The same, noted as something that must be found.
pub(super) fn noted(decoder: &mut Decoder, node: &Node, path: &str, found: Found) -> Found {
    decoder.refers(node, path, &found);
    found
}

/// Whether the operating system lets a variable be called so.
pub(super) fn is_variable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}
