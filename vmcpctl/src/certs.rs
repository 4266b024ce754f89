//! `certs`: a small authority in a folder, for the control channel of those who have none.

mod authority;

use std::process::ExitCode;

use anstyle::Style;

use crate::settings::{Certs, Folder, GREEN, InitAuthority, Issue};
use crate::table::Table;
use crate::terminal::{legible, print_line, terminal_width};
use authority::{Authority, Whose};

/// One of the verbs.
pub(crate) fn run(command: Certs) -> anyhow::Result<ExitCode> {
    match command {
        Certs::Init(init) => begin(&init)?,
        Certs::ControlPlane { issue, host } => issue_to(&issue, &Whose::ControlPlane { hosts: host })?,
        Certs::Replica { issue } => issue_to(&issue, &Whose::Replica)?,
        Certs::Operator { issue, role } => issue_to(&issue, &Whose::Operator(role))?,
        Certs::Revoke { whom } => {
            let count = Authority::open(&whom.folder.dir)?.revoke(&whom.name)?;
            anstream::eprintln!("{GREEN}revoked{GREEN:#}: {count} of `{}`", whom.name);
            anstream::eprintln!(
                "\ncontrol planes that read {} end their connections",
                legible(&whom.folder.dir.join("crl.pem").display().to_string())
            );
        }
        Certs::List { folder } => list(&folder)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn begin(init: &InitAuthority) -> anyhow::Result<()> {
    Authority::create(&init.folder.dir, &init.trust_domain)?;
    let dir = legible(&init.folder.dir.display().to_string());
    anstream::eprintln!(
        "{GREEN}made{GREEN:#}: an authority in {dir}; whoever has {dir}/ca-key.pem can be anybody"
    );
    anstream::eprintln!("\nnext:");
    anstream::eprintln!("  vmcpctl certs control-plane main --host control.example.com --dir {dir}");
    anstream::eprintln!("  vmcpctl certs replica edge --dir {dir}");
    anstream::eprintln!("  vmcpctl certs operator ada --role admin --dir {dir}");
    Ok(())
}

fn issue_to(issue: &Issue, whose: &Whose) -> anyhow::Result<()> {
    let dir = &issue.whom.folder.dir;
    let issued = Authority::open(dir)?.issue(&issue.whom.name, whose, issue.days)?;
    let path = |name: &str| legible(&dir.join(name).display().to_string());
    let (cert, key, ca) = (path(&issued.certificate), path(&issued.key), path("ca.pem"));
    print_line(&format!("{cert}\n{key}"))?;
    anstream::eprintln!("{GREEN}made{GREEN:#}: {} until {}", issued.id, issued.until);
    anstream::eprintln!("\nuse it:");
    match whose {
        Whose::ControlPlane { .. } => anstream::eprintln!(
            "  vmcp-control-plane --tls-cert {cert} --tls-key {key} --tls-client-ca {ca} --tls-crl {} --access {} …",
            path("crl.pem"),
            path("access.yaml"),
        ),
        Whose::Replica => anstream::eprintln!(
            "  vmcp-data-plane --control-plane https://… --control-plane-ca {ca} --control-plane-cert {cert} --control-plane-key {key} …"
        ),
        Whose::Operator(_) => anstream::eprintln!(
            "  vmcpctl context set NAME --server https://… --server-ca {ca} --server-cert {cert} --server-key {key}"
        ),
    }
    Ok(())
}

fn list(folder: &Folder) -> anyhow::Result<()> {
    let mut table = Table::new(&["NAME", "ID", "UNTIL", "REVOKED"]);
    for made in Authority::open(&folder.dir)?.made() {
        let is_revoked = if made.is_revoked { "yes" } else { "" };
        let row = vec![made.name.clone(), made.id.clone(), made.until.clone(), is_revoked.to_owned()];
        table.row(Style::new(), row);
    }
    print_line(table.render(terminal_width()).trim_end())?;
    Ok(())
}
