//! What nobody would call a secret: an allowlist of names, words, numbers, folders and addresses.

/// A flag without a value: one letter, a few that are usual, or a long one.
pub(super) fn is_flag(text: &str) -> bool {
    const USUAL: [&str; 12] =
        ["-it", "-ti", "-iv", "-jar", "-cp", "-lc", "-ec", "-yq", "-qy", "-y", "-stdio", "-transport"];
    if USUAL.contains(&text) {
        return true;
    }
    match text.strip_prefix("--") {
        Some(long) => {
            is_identifier(long) && long.starts_with(|c: char| c.is_ascii_alphabetic()) || long.is_empty()
        }
        None => text
            .strip_prefix('-')
            .is_some_and(|short| short.len() == 1 && short.chars().all(|c| c.is_ascii_alphanumeric())),
    }
}

/// The name of a flag, a variable or a header.
pub(super) fn is_identifier(text: &str) -> bool {
    let usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    (1..=40).contains(&text.len()) && text.chars().all(usual) && !looks_random(text)
}

/// What secrets are called.
pub(super) fn is_secret_name(name: &str) -> bool {
    const PARTS: [&str; 19] = [
        "KEY",
        "TOKEN",
        "SECRET",
        "PASS",
        "AUTH",
        "CREDENTIAL",
        "CREDS",
        "COOKIE",
        "SESSION",
        "PRIVATE",
        "BEARER",
        "BASIC",
        "SIGNATURE",
        "CERT",
        "WEBHOOK",
        "CONNECTION",
        "LICENSE",
        "HEADER",
        "PROXY",
    ];
    const WORDS: [&str; 10] = ["PW", "PWD", "PSW", "PAT", "PIN", "JWT", "DSN", "USER", "SIG", "OTP"];
    let upper = name.to_ascii_uppercase();
    let mut words = upper.split(|c: char| !c.is_ascii_alphanumeric());
    PARTS.iter().any(|part| upper.contains(part)) || words.any(|word| WORDS.contains(&word))
}

/// Values of variables that everybody has.
pub(super) fn is_known_value(name: &str, text: &str) -> bool {
    let letters = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, '_' | '-'))
    };
    match name {
        "TZ" => {
            matches!(text, "UTC" | "GMT")
                || text.split_once('/').is_some_and(|(a, b)| letters(a) && letters(b))
        }
        "LANG" | "LC_ALL" => {
            let language = text.split('.').next().unwrap_or_default();
            matches!(language, "C" | "POSIX")
                || (language.len() == 5 && language.contains('_') && letters(language))
        }
        _ => false,
    }
}

/// Values that nobody would call a secret: switches, small numbers, levels, folders, addresses without user and query.
pub(super) fn is_harmless(value: &str) -> bool {
    const WORDS: [&str; 22] = [
        "true",
        "false",
        "yes",
        "no",
        "on",
        "off",
        "debug",
        "info",
        "warn",
        "warning",
        "error",
        "trace",
        "production",
        "development",
        "test",
        "stdio",
        "http",
        "sse",
        "streamable-http",
        "utf-8",
        "localhost",
        "127.0.0.1",
    ];
    let lower = value.to_ascii_lowercase();
    let is_small_number = value.len() <= 5 && value.chars().all(|c| c.is_ascii_digit());
    value.is_empty()
        || is_small_number
        || WORDS.contains(&lower.as_str())
        || is_path(value)
        || is_address(value)
}

/// Values of arguments: besides what is harmless, the names of packages, images, modules, files and subcommands.
pub(super) fn is_plain_value(flag: Option<&str>, value: &str) -> bool {
    // The value of a flag that nobody can read may be anything.
    const READABLE: [&str; 10] = ["-y", "-m", "-f", "-d", "-C", "-i", "-it", "-ti", "-jar", "--"];
    let is_readable = flag.is_none_or(|flag| flag.len() > 2 || READABLE.contains(&flag));
    is_harmless(value) || (is_readable && (is_word(value) || is_package(value)))
}

/// A word that people write, of letters alone.
fn is_word(value: &str) -> bool {
    let usual = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '-' | '.');
    let begins = value.starts_with(|c: char| c.is_ascii_alphabetic());
    begins
        && value.len() <= 48
        && value.chars().all(usual)
        && !has_known_beginning(value)
        && !is_jumbled(value)
}

/// A package of npm, PyPI or Debian, an image, or a file: in small letters, with separators, and a version at its end at most.
fn is_package(value: &str) -> bool {
    const ENDS: [&str; 12] =
        [".js", ".mjs", ".cjs", ".ts", ".py", ".json", ".toml", ".yaml", ".yml", ".jar", ".sh", ".rb"];
    let body = value.strip_prefix('@').unwrap_or(value);
    let (body, version) = body.split_once(['@', ':']).unwrap_or((body, ""));
    let small = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
    let is_part =
        |part: &str| !part.is_empty() && part.len() <= 48 && part.chars().all(small) && !looks_random(part);
    let is_version = version.len() <= 24 && version.chars().all(small) && !looks_random(version);
    let has_shape = value.starts_with('@')
        || body.contains('/')
        || ENDS.iter().any(|end| body.ends_with(end))
        || body.contains('-') && body.chars().filter(char::is_ascii_digit).count() <= 2;
    let begins = body.starts_with(|c: char| c.is_ascii_alphanumeric());
    begins && has_shape && is_version && !has_known_beginning(value) && body.split('/').all(is_part)
}

/// A folder or a file.
fn is_path(value: &str) -> bool {
    let begins = ["/", "./", "../", "~/"].iter().any(|begin| value.starts_with(begin));
    (begins || matches!(value, "." | ".." | "~")) && value.len() > 1 && !value.split('/').any(is_odd_segment)
        || value == "."
}

/// An address without user, query and fragment, in whose path nothing looks like a secret.
fn is_address(value: &str) -> bool {
    let Some((scheme, rest)) = value.split_once("://") else { return false };
    matches!(scheme, "http" | "https") && !rest.contains(['@', '?', '#']) && {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        authority.chars().all(usual)
            && !authority.split('.').any(looks_random)
            && !path.split('/').any(is_odd_segment)
    }
}

/// A part of a path that people do not write.
pub(super) fn is_odd_segment(segment: &str) -> bool {
    let has_digit = segment.chars().any(|c| c.is_ascii_digit());
    segment.contains(|c: char| matches!(c, '=' | ';' | ':' | '%' | '+' | ',' | '$' | '!') || c.is_control())
        || segment.len() > 48
        || (segment.len() >= 16 && has_digit && !segment.contains(['-', '.', ' ']))
        || looks_random(segment)
        || is_jumbled(segment)
}

/// What no person would type: long, with digits and letters mixed; or with the beginning of a well-known kind of token.
pub(super) fn looks_random(text: &str) -> bool {
    let is_token = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '='));
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let letters = text.chars().filter(char::is_ascii_alphabetic).count();
    has_known_beginning(text) || (is_token && text.len() >= 16 && digits >= 3 && letters >= 3)
}

/// Capitals and small letters that change too often to be words.
fn is_jumbled(text: &str) -> bool {
    let letters: Vec<char> = text.chars().filter(char::is_ascii_alphabetic).collect();
    let changes = letters
        .windows(2)
        .filter(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
        .count();
    let runs = text.split(['-', '_', '.', '/']).map(str::len).max().unwrap_or_default();
    (text.len() >= 16 && changes * 4 >= letters.len()) || runs >= 28
}

fn has_known_beginning(text: &str) -> bool {
    const BEGINNINGS: [&str; 28] = [
        "sk-",
        "sk_",
        "pk_",
        "pk.",
        "rk_",
        "ghp_",
        "gho_",
        "ghs_",
        "ghu_",
        "github_pat_",
        "glpat-",
        "glptt-",
        "xox",
        "AKIA",
        "ASIA",
        "AIza",
        "ya29.",
        "eyJ",
        "hf_",
        "hvs.",
        "npm_",
        "lin_api_",
        "ntn_",
        "SG.",
        "shpat_",
        "AGE-SECRET",
        "dckr_pat_",
        "-----BEGIN",
    ];
    BEGINNINGS.iter().any(|beginning| text.starts_with(beginning))
}
