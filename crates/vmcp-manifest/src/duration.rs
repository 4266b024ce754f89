//! Lengths of time as people write them: `30s`, `1m30s`, `250ms`, in the form that ToolHive takes.

use std::time::Duration;

use vmcp_core::limits;
use vmcp_core::sentence::shown;

use crate::decode::Decoder;
use crate::tree::Node;

/// Longest unit first where one begins as another does.
const UNITS: [(&str, f64); 7] =
    [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// A length of time, at least `shortest` and at most a week.
pub(crate) fn duration(
    decoder: &mut Decoder,
    node: &Node,
    path: &str,
    shortest: Duration,
) -> Option<Duration> {
    let text: String = decoder.text(node, path)?;
    let (message, help) = match parse(&text) {
        None => (
            format!("`{}` is not a length of time", shown(&text)),
            "write a number and a unit, such as `30s`, `1m30s` or `250ms`",
        ),
        Some(time) if time < shortest => (
            format!("`{}` is too short", shown(&text)),
            if shortest.as_secs() == 0 { "it must be longer than nothing" } else { "it is at least `1s`" },
        ),
        Some(time) if time > limits::LONGEST_TIME => {
            (format!("`{}` is too long", shown(&text)), "it is at most a week, `168h`")
        }
        Some(time) => return Some(time),
    };
    decoder.fault(&node.place, path, message, Some(help.to_owned()));
    None
}

/// `([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+`, or `0`.
fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut whole = Duration::ZERO;
    loop {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let is_number = match number.split_once('.') {
            Some((before, behind)) => digits(before) && digits(behind),
            None => digits(number),
        };
        if !is_number {
            return None;
        }
        let unit =
            UNITS.iter().filter(|(unit, _)| after.starts_with(unit)).max_by_key(|(unit, _)| unit.len());
        let (unit, seconds) = unit?;
        let piece = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        whole = whole.checked_add(piece)?;
        rest = &after[unit.len()..];
        if rest.is_empty() {
            return Some(whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_toolhive_reads_them() {
        for (text, millis) in [
            ("30s", 30_000),
            ("1m30s", 90_000),
            ("250ms", 250),
            ("1.5h", 5_400_000),
            ("0", 0),
            ("0s", 0),
            ("1h0m1s", 3_601_000),
            ("2000us", 2),
            ("3000µs", 3),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in
            ["", "30", "s", "-1s", "1 s", "1..5s", ".5s", "1d", "1s2", "1e3s", "99999999999999999999999h"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
