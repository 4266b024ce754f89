//! One message per line: reading within a bound, and writing a message that may have line breaks between its members
//! (MCP 2026-07-28, stdio: messages must not contain embedded newlines).

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// The next line without its end; `None` at the end of the stream or behind a line over `limit`.
pub(crate) async fn read(
    reader: &mut (impl AsyncBufRead + Unpin),
    limit: usize,
) -> std::io::Result<Option<Bytes>> {
    let mut line = BytesMut::new();
    loop {
        let available = reader.fill_buf().await?;
        if available.is_empty() {
            return Ok((!line.is_empty()).then(|| line.freeze()));
        }
        let end = available.iter().position(|byte| *byte == b'\n');
        let piece = &available[..end.unwrap_or(available.len())];
        if line.len() + piece.len() > limit {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "a line is too long"));
        }
        line.extend_from_slice(piece);
        let used = piece.len() + usize::from(end.is_some());
        reader.consume(used);
        if end.is_some() {
            return Ok(Some(line.freeze()));
        }
    }
}

/// The message on one line. A line break in JSON can only be white space, so a space does as well.
pub(crate) fn write(mut message: Vec<u8>) -> Vec<u8> {
    for byte in &mut message {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    message.push(b'\n');
    message
}

#[cfg(test)]
mod tests {
    use tokio::io::BufReader;

    use super::*;

    #[tokio::test]
    async fn lines_are_read_whole_however_they_arrive() {
        let mut reader = BufReader::with_capacity(3, &b"{\"a\":1}\n\n{\"b\":2}"[..]);
        let mut lines = Vec::new();
        while let Some(line) = read(&mut reader, 100).await.unwrap() {
            lines.push(line);
        }
        assert_eq!(lines, ["{\"a\":1}", "", "{\"b\":2}"]);
    }

    #[tokio::test]
    async fn an_endless_line_is_an_error() {
        let mut reader = BufReader::with_capacity(3, &b"0123456789"[..]);
        assert!(read(&mut reader, 9).await.is_err());
    }

    #[test]
    fn a_message_becomes_one_line() {
        assert_eq!(write(b"{\r\n \"a\": \"\\n\"\n}".to_vec()), b"{   \"a\": \"\\n\" }\n");
    }
}
