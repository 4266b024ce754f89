//! The variables that every child gets: enough to find programs and a home, and none that carry secrets.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// What is inherited from the process that hosts.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: Vec<(OsString, OsString)>,
}

const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TERM",
    "TMPDIR",
    "TZ",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
];

impl Environment {
    /// Those of `variables` that a child may have. `own_folder`, where the hosting program lies, is looked in last for
    /// programs, so that a workload can be one of its own commands.
    pub fn inherit(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        own_folder: Option<&Path>,
    ) -> Self {
        let may_have = |name: &OsStr| INHERITED.iter().any(|inherited| name == *inherited);
        let mut variables: Vec<_> = variables.into_iter().filter(|(name, _)| may_have(name)).collect();
        if let Some(folder) = own_folder {
            match variables.iter_mut().find(|(name, _)| name == "PATH") {
                Some((_, path)) => {
                    path.push(":");
                    path.push(folder);
                }
                None => variables.push(("PATH".into(), folder.into())),
            }
        }
        Self { variables }
    }

    pub(crate) fn variables(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_inherited_and_our_own_folder_comes_last() {
        let variables = [("PATH", "/bin"), ("API_KEY", "secret"), ("HOME", "/root")];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let environment = Environment::inherit(variables, Some(Path::new("/opt/vmcp")));
        let inherited: Vec<_> = environment.variables().collect();
        assert_eq!(
            inherited,
            [("PATH".as_ref(), "/bin:/opt/vmcp".as_ref()), ("HOME".as_ref(), "/root".as_ref())]
        );
    }
}
