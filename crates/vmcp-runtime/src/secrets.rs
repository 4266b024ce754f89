//! Where secrets are found: in variables of this process, and in files.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::Path;

/// A key or a token, with room for a whole certificate chain.
const SECRET_BYTES: u64 = 64 * 1024;

/// A variable of this process.
///
/// # Errors
/// It is not set.
#[expect(clippy::disallowed_methods, reason = "manifests name the variables that are read here")]
pub fn secret_variable(name: &str) -> io::Result<OsString> {
    std::env::var_os(name).ok_or_else(|| io::Error::other(format!("the variable `{name}` is not set")))
}

/// A file's text, without the line break at its end.
///
/// # Errors
/// It cannot be read, is no regular file, or is too large; what stands in it is not in the error.
pub fn secret_file(path: &Path) -> io::Result<String> {
    let text = String::from_utf8(regular_file(path, SECRET_BYTES)?);
    let text = text.map_err(|_| io::Error::other(format!("`{}` is not a text", path.display())))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// What stands in a file of at most so many bytes. What is no file, such as a pipe, could keep us waiting for ever.
///
/// # Errors
/// It cannot be read, is no regular file, or is too large; what stands in it is not in the error.
pub fn regular_file(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let metadata = fs_err::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other(format!("`{}` is not a regular file", path.display())));
    }
    let mut bytes = Vec::new();
    fs_err::File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!(
            "`{}` is too large: it has more than {most} bytes",
            path.display()
        )));
    }
    Ok(bytes)
}
