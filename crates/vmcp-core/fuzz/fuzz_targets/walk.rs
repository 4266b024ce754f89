//! What the fuzz target and the corpus test do with one input.

use vmcp_core::name::Name;
use vmcp_core::prefix::PrefixFormat;
use vmcp_core::tool_name::{NameLength, ToolName, unusual_character};

/// The first line is a prefix format, the second a workload, the third a length, and the rest a tool's own name.
pub(crate) fn walk(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.splitn(4, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (format, workload, length, own) = (line(), line(), line(), line());
    let (format, workload) = (format.parse::<PrefixFormat>(), workload.parse::<Name>());
    let length = length.parse::<NameLength>();
    if let Ok(length) = length
        && let Some(short) = length.shorten(own)
    {
        assert_eq!(short.chars().count(), length.characters());
        assert_eq!(length.shorten(own), Some(short));
    }
    let (Ok(format), Ok(workload)) = (format, workload) else { return };
    let exposed = format.apply(&workload, own);
    assert!(exposed.ends_with(own));
    let prefix = &exposed[..exposed.len() - own.len()];
    assert!(unusual_character(prefix).is_none(), "{prefix}");
    assert_eq!(prefix, format.to_string().replace("{workload}", workload.as_str()));
    assert!(prefix.len() <= 64 * 63);
    if own.parse::<ToolName>().is_ok() {
        assert!(unusual_character(&exposed).is_none());
    }
}
