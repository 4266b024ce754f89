//! The reference of manifests, written from what the schema says; and the schema itself, for editors that want a file.

use std::fmt::Write;
use std::path::Path;

use anyhow::bail;
use vmcp_manifest::{Section, reference, schema};

/// Writes `docs/reference`, or says what would change.
pub(crate) fn run(root: &Path, check: bool) -> anyhow::Result<()> {
    let folder = root.join("docs/reference");
    let schema = serde_json::to_string_pretty(&schema())? + "\n";
    for (name, text) in [("manifest.md", page(&reference())?), ("manifest.schema.json", schema)] {
        let file = folder.join(name);
        if !check {
            fs_err::create_dir_all(&folder)?;
            fs_err::write(&file, text)?;
        } else if fs_err::read_to_string(&file).unwrap_or_default() != text {
            bail!("{} is not what the schema says: run `cargo xtask docs`", file.display());
        }
    }
    Ok(())
}

fn page(sections: &[Section]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    writeln!(text, "# Reference of manifests\n")?;
    writeln!(
        text,
        "Written by `cargo xtask docs` from the types that the JSON Schema comes from, which a test holds to the decoder. The schema is \
         [manifest.schema.json](manifest.schema.json), or `vmcpctl schema`. Every key may be written in camelCase, too. How it all goes \
         together: [../manifests.md](../manifests.md).\n"
    )?;
    for section in sections {
        writeln!(text, "## {}\n", section.name)?;
        writeln!(text, "{}\n", section.description)?;
        writeln!(text, "| key | holds | if absent | meaning |\n|---|---|---|---|")?;
        for row in &section.rows {
            let holds = linked(&row.value, sections);
            let default = match row.default.as_str() {
                "required" | "" => row.default.clone(),
                default => format!("`{default}`"),
            };
            let description = row.description.replace('|', "\\|");
            writeln!(text, "| `{}` | {holds} | {default} | {description} |", row.key)?;
        }
        writeln!(text)?;
    }
    Ok(text.trim_end().to_owned() + "\n")
}

/// Names of sections become links to them.
fn linked(value: &str, sections: &[Section]) -> String {
    let words = value.split(' ').map(|word| match sections.iter().find(|section| section.name == word) {
        Some(section) => format!("[{word}](#{})", section.name.to_lowercase()),
        None => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_reference_is_what_the_schema_says() {
        super::run(crate::root(), true).unwrap();
    }
}
