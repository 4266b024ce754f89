//! `authz`: what policies say of somebody, asked as a data plane asks them; and whether they say what a file of cases wants.

mod question;

use std::process::ExitCode;

use serde_json::{Value, json};
use vmcp_core::desired::Desired;
use vmcp_manifest::{Case, Source, read_cases};

use crate::failure::WrongUsage;
use crate::manifests::{Faults, Loaded, load, read_bounded};
use crate::settings::{Authz, DIM, Explain, GREEN, Output, RED, Test};
use crate::terminal::{legible, print_line};
use crate::validate;
use question::{Answered, Question};

/// One of the verbs.
pub(crate) fn run(command: Authz) -> anyhow::Result<ExitCode> {
    match command {
        Authz::Explain(explain) => explain_one(&explain),
        Authz::Test(test) => hold(&test),
    }
}

fn explain_one(explain: &Explain) -> anyhow::Result<ExitCode> {
    let desired = match load(&explain.manifests.config)? {
        Ok(Loaded { desired, .. }) => desired,
        Err(faults) => {
            faults.report(explain.output)?;
            return Ok(ExitCode::from(1));
        }
    };
    let mut question = Question::of(explain)?;
    if explain.connect {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let found = runtime.block_on(validate::find(
            &desired,
            &question.server(&desired)?.name,
            question.kind(),
            &explain.item,
        ))?;
        question.is(found);
    }
    let answered = question.ask(&desired)?;
    match explain.output {
        Output::Json => print_line(&serde_json::to_string_pretty(&answered.to_json())?)?,
        Output::Table => show(&answered)?,
    }
    Ok(if answered.decision.is_allowed { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn show(answered: &Answered) -> anyhow::Result<()> {
    let Answered { decision, .. } = answered;
    let verdict =
        if decision.is_allowed { format!("{GREEN}allow{GREEN:#}") } else { format!("{RED}deny{RED:#}") };
    print_line(&format!("{verdict}  {}", legible(&answered.said)))?;
    if let Some(error) = &decision.error {
        print_line(&format!("  {RED}cannot be evaluated{RED:#}: {}", legible(error)))?;
    }
    let why = match (decision.is_allowed, decision.policies.is_empty()) {
        (true, _) => "permitted by",
        (false, false) => "forbidden by",
        (false, true) => "permitted by no policy",
    };
    print_line(&format!("  {why} {}", answered.named(&decision.policies)))?;
    let others: Vec<String> =
        answered.considered.iter().filter(|id| !decision.policies.contains(id)).cloned().collect();
    if !others.is_empty() {
        print_line(&format!("  {DIM}considered, too: {}{DIM:#}", answered.named(&others)))?;
    }
    if answered.is_listed != decision.is_allowed {
        let listed = if answered.is_listed { "is listed" } else { "is not listed" };
        print_line(&format!("  {DIM}without arguments the answer is another: it {listed}{DIM:#}"))?;
    }
    Ok(())
}

/// Every case; those that come out otherwise are said.
fn hold(test: &Test) -> anyhow::Result<ExitCode> {
    let desired = match load(&test.manifests.config)? {
        Ok(Loaded { desired, .. }) => desired,
        Err(faults) => {
            faults.report(test.output)?;
            return Ok(ExitCode::from(1));
        }
    };
    let file = test.cases.display().to_string();
    let text = read_bounded(&test.cases).map_err(|error| WrongUsage(legible(&error.to_string())))?;
    let source = Source { name: &file, text: &text };
    let cases = match read_cases(source) {
        Ok(cases) => cases,
        Err(faults) => {
            Faults::of(&faults, &[source]).report(test.output)?;
            return Ok(ExitCode::from(1));
        }
    };
    if cases.is_empty() {
        return Err(
            WrongUsage(format!("{} has no case, so nothing was held to anything", legible(&file))).into()
        );
    }
    let mut failed = Vec::new();
    for case in &cases {
        let why = otherwise(&desired, case).unwrap_or_else(|error| Some(error.to_string()));
        failed.extend(why.map(|why| (case.line.clone(), why)));
    }
    match test.output {
        Output::Json => {
            let all: Vec<Value> =
                failed.iter().map(|(line, why)| json!({"line": line.number, "why": why})).collect();
            let whole = json!({"cases": cases.len(), "failed": all});
            print_line(&serde_json::to_string_pretty(&whole)?)?;
        }
        Output::Table => {
            for (line, why) in &failed {
                print_line(&format!("{RED}failed{RED:#} {}: {}", legible(&line.to_string()), legible(why)))?;
            }
            print_line(&format!("cases {}, failed {}", cases.len(), failed.len()))?;
        }
    }
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// How a case comes out, if not as it is to.
fn otherwise(desired: &Desired, case: &Case) -> anyhow::Result<Option<String>> {
    let answered = Question::of_case(case).ask(desired)?;
    let decision = &answered.decision;
    let word = |is_allowed: bool| if is_allowed { "allow" } else { "deny" };
    if decision.is_allowed != case.is_allowed {
        let by = match (&decision.error, decision.policies.is_empty()) {
            (Some(error), _) => format!("cannot be evaluated: {error}"),
            (None, true) => "no policy permits it".to_owned(),
            (None, false) => format!("by {}", answered.named(&decision.policies)),
        };
        return Ok(Some(format!(
            "{}: expected {}, is {} ({by})",
            answered.said,
            word(case.is_allowed),
            word(decision.is_allowed)
        )));
    }
    Ok(case
        .policies
        .as_ref()
        .filter(|wanted| {
            let mut wanted: Vec<&String> = wanted.iter().collect();
            wanted.sort();
            !wanted.into_iter().eq(&decision.policies)
        })
        .map(|wanted| {
            format!(
                "{}: expected by {}, is by {}",
                answered.said,
                wanted.join(", "),
                decision.policies.join(", ")
            )
        }))
}
