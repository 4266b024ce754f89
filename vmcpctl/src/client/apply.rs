//! The verbs that change what is desired, or say what would change.

use std::process::ExitCode;

use vmcp_control_plane::Manifest;
use vmcp_proto::v1;

use crate::client::Client;
use crate::client::change;
use crate::client::status::tell_diagnostics;
use crate::client::wait::{Wait, wait};
use crate::manifests::{self, FaultData};
use crate::settings::{Apply, ChangeOptions, Delete, Diff, DocumentKind, Output, Rollback};
use crate::terminal::print_line;

/// Makes manifests part of what is served.
pub(crate) async fn apply(apply: Apply) -> anyhow::Result<ExitCode> {
    let Apply { manifests, prune, options, server } = apply;
    let manifests = manifests::read(&manifests.config)?;
    let mut client = Client::connect(&server).await?;
    let request = request(&manifests, prune, options.dry_run, options.expect);
    let answer = client.control.apply(request).await;
    finish(client, answer, &manifests, &options).await
}

/// What applying them would change; the answer is no if that is anything.
pub(crate) async fn diff(diff: Diff) -> anyhow::Result<ExitCode> {
    let Diff { manifests, prune, output, server } = diff;
    let manifests = manifests::read(&manifests.config)?;
    let mut client = Client::connect(&server).await?;
    let answer = client.control.diff(request(&manifests, prune, true, None)).await;
    let response = client.answered(answer)?;
    if let Some(code) = faults(&response, &manifests, output)? {
        return Ok(code);
    }
    let is_same = response.changes.is_empty();
    show(&response, output, true)?;
    Ok(ExitCode::from(u8::from(!is_same)))
}

/// Takes a document out.
pub(crate) async fn delete(delete: Delete) -> anyhow::Result<ExitCode> {
    let Delete { kind, name, options, server } = delete;
    let mut client = Client::connect(&server).await?;
    let kind = match kind {
        DocumentKind::VirtualServer => "virtual_server",
        DocumentKind::Group => "group",
    };
    let request = v1::DeleteRequest {
        kind: kind.to_owned(),
        name: name.to_string(),
        dry_run: options.dry_run,
        expected_generation: options.expect,
    };
    let answer = client.control.delete(request).await;
    finish(client, answer, &[], &options).await
}

/// Makes everything what it was.
pub(crate) async fn rollback(rollback: Rollback) -> anyhow::Result<ExitCode> {
    let Rollback { generation, options, server } = rollback;
    let mut client = Client::connect(&server).await?;
    let request =
        v1::RollbackRequest { generation, dry_run: options.dry_run, expected_generation: options.expect };
    let answer = client.control.rollback(request).await;
    finish(client, answer, &[], &options).await
}

fn request(manifests: &[Manifest], prune: bool, dry_run: bool, expect: Option<u64>) -> v1::ApplyRequest {
    let manifests = manifests
        .iter()
        .map(|manifest| v1::Manifest { file: manifest.file.clone(), text: manifest.text.clone() });
    v1::ApplyRequest { manifests: manifests.collect(), prune, dry_run, expected_generation: expect }
}

async fn finish(
    client: Client,
    answer: Result<tonic::Response<v1::ChangeResponse>, tonic::Status>,
    manifests: &[Manifest],
    options: &ChangeOptions,
) -> anyhow::Result<ExitCode> {
    let response = client.answered(answer)?;
    if let Some(code) = faults(&response, manifests, options.output)? {
        return Ok(code);
    }
    show(&response, options.output, options.dry_run)?;
    if options.dry_run || !options.wait {
        return Ok(ExitCode::SUCCESS);
    }
    let until = Wait { generation: response.generation, seconds: options.timeout };
    wait(client, until, options.output).await
}

/// Exit code 1 if there is something wrong with the manifests.
fn faults(
    response: &v1::ChangeResponse,
    manifests: &[Manifest],
    output: Output,
) -> anyhow::Result<Option<ExitCode>> {
    if response.faults.is_empty() {
        return Ok(None);
    }
    let faults = response.faults.iter().map(|fault| FaultData {
        file: fault.file.clone(),
        line: fault.line,
        column: fault.column,
        path: fault.path.clone(),
        message: fault.message.clone(),
        help: fault.help.clone(),
        length: fault.length,
        is_stored: fault.stored,
    });
    manifests::placed(faults.collect(), manifests).report(output)?;
    Ok(Some(ExitCode::from(1)))
}

fn show(response: &v1::ChangeResponse, output: Output, is_plan: bool) -> anyhow::Result<()> {
    let text = match output {
        Output::Json => serde_json::to_string_pretty(response)?,
        Output::Table if is_plan => change::plan(response),
        Output::Table => change::summary(response),
    };
    print_line(text.trim_end())?;
    if output == Output::Table {
        tell_diagnostics(&response.diagnostics);
    }
    Ok(())
}
