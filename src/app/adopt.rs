//! What `adopt` does: takes over an application that somebody made by hand, with what is known of Factory's half. It looks
//! at both sides, asks what only a person knows, and writes to neither side: to the record alone.

use super::attest::record_step;
use super::console::{Found, Proposal};
use super::context::Context;
use super::error::{Failure, Result};
use super::operations::{View, locked, refresh_and_plan_from};
use super::rebuild;
use crate::model::{Address, Attestation, Command, Evidence, FactorySource, OperatorStep, Policy, RecordedState};
use crate::planner::{self, Unadoptable, Word};
use crate::{executor, model};

/// What `setpoint adopt` does.
const COMMAND: &str = "adopt";

/// What a person says of Factory's half without being asked, and of what GitLab does not show.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is said, or not said, by itself")]
pub(crate) struct Vouched {
    pub(crate) trusted: bool,
    pub(crate) connection: bool,
    pub(crate) authorization: bool,
    pub(crate) repositories: bool,
}

impl Vouched {
    fn is_nothing(self) -> bool {
        !(self.trusted || self.connection || self.authorization || self.repositories)
    }
}

/// What became of it.
pub(crate) struct Adopted {
    /// The application's row id.
    pub(crate) id: model::ApplicationId,
    /// Where the record is.
    pub(crate) place: String,
}

/// Records an application that Setpoint neither made nor has recorded.
pub(crate) async fn adopt(context: &Context, vouched: Vouched, auto_approve: bool) -> Result<Adopted> {
    let work = async {
        let policy = context.policy(Command::Apply);
        let record = context.interrupts.guard(context.records.read_or_begin()).await?;
        let (view, readers) = refresh_and_plan_from(context, &policy, record).await?;
        let evidence = rebuild::evidence(context, &readers, &view.observed).await;
        readers.sign_out().await;
        let evidence = evidence?;
        let desired = &context.config.desired;
        let application = planner::adoptable(desired, &view.observed, &view.record).map_err(|why| refused(&why))?;
        let found = Found {
            environment: &view.environment,
            observed: &view.observed,
            application,
            evidence: evidence.as_ref(),
        };
        context.console.propose(context, &Proposal::Adoption(found))?;
        let asked = planner::questions(desired, &view.observed, application);
        let (word, repositories) = word(context, &view, &asked, vouched, auto_approve).await?;
        let mut next = planner::take_over(desired, &view.observed, &view.record, &word).map_err(|why| refused(&why))?;
        if word.authorized {
            not_denied(&next, evidence.as_ref(), &view)?;
        }
        if repositories {
            next = with_repositories(context, &policy, next, &word.attestation).await?;
        }
        context.records.store.write(&mut next).await?;
        Ok(Adopted {
            id: application.id,
            place: context.records.store.place(),
        })
    };
    locked(context, COMMAND, Box::pin(work)).await
}

/// What a person says: given by flags, or asked one by one where somebody is there.
async fn word(
    context: &Context,
    view: &View,
    asked: &[Address],
    vouched: Vouched,
    auto_approve: bool,
) -> Result<(Word, bool)> {
    let attested = view.observed.factory.source == FactorySource::Attested;
    let asks = context.console.can_ask() && !auto_approve;
    if !asks && !asked.is_empty() && vouched.is_nothing() {
        return Err(Failure::new(
            "neither side shows whether Factory works with this application, and nobody is there to ask",
        )
        .hint("say what is so: --attest connection, --attest authorization, --attest repositories, or --all"));
    }
    let ask = async |said: bool, applies: bool, question: &str| -> Result<bool> {
        if said || !applies || !asks {
            return Ok(said && applies);
        }
        context.interrupts.guard(context.console.confirm(question)).await
    };
    let domain = &context.config.desired.connection.domain;
    let trusted = ask(
        vouched.trusted,
        asked.contains(&Address::Application),
        "GitLab's API does not show \"Trusted\". Is it ticked for this application, as the configuration says?",
    )
    .await?;
    let connected = ask(
        vouched.connection,
        asked.contains(&Address::Connection),
        &format!("Does Factory have the domain {domain}, this application's id, and its present secret?"),
    )
    .await?;
    let authorized = ask(
        vouched.authorization,
        connected && asked.contains(&Address::Authorization),
        "Was Factory's access approved while signed in to GitLab as the droid?",
    )
    .await?;
    let repositories = ask(
        vouched.repositories,
        authorized && attested,
        "Are all repositories that the configuration selects enabled in Factory?",
    )
    .await?;
    if asks {
        let consent = context.console.confirm("Do you want to record this?");
        if !context.interrupts.guard(consent).await? {
            return Err(Failure::refused("declined: nothing was recorded"));
        }
    }
    let word = Word {
        attestation: context.attestation(),
        trusted,
        connected,
        authorized,
    };
    Ok((word, repositories))
}

/// What GitLab's page says against an approval counts for more than a person's word.
fn not_denied(record: &RecordedState, evidence: Option<&Evidence>, view: &View) -> Result<()> {
    let (Some(evidence), Some(application), Some(user)) = (evidence, &record.application, &view.observed.gitlab.user)
    else {
        return Ok(());
    };
    match executor::denial(evidence, application, &user.fields.username) {
        Some(denial) => Err(Failure::new(denial)
            .context("factory.authorization cannot be adopted")
            .hint("adopt it without --attest authorization; `setpoint apply` then says how to approve it")),
        None => Ok(()),
    }
}

/// The record with the repositories that the configuration selects, which only shows with the connection in it.
async fn with_repositories(
    context: &Context,
    policy: &Policy,
    record: RecordedState,
    attestation: &Attestation,
) -> Result<RecordedState> {
    let (view, readers) = refresh_and_plan_from(context, policy, record).await?;
    readers.sign_out().await;
    let View {
        record, observed, plan, ..
    } = &view;
    let mut next = planner::refresh(&context.config.desired, observed, record, plan);
    let steps = plan.changes.iter().flat_map(|change| &change.steps);
    for step in steps.filter(|step| matches!(step, OperatorStep::EnableRepository { .. })) {
        record_step(&mut next, step, attestation).map_err(Failure::new)?;
    }
    Ok(next)
}

fn refused(why: &Unadoptable) -> Failure {
    let failure = Failure::new(why.to_string());
    match why {
        Unadoptable::NoApplication | Unadoptable::Recorded | Unadoptable::NoUser => {
            failure.hint("`setpoint plan` shows what there is to do")
        }
        Unadoptable::Ambiguous(candidates) => {
            let list: Vec<String> = candidates
                .iter()
                .map(|(id, uid)| format!("id {id}, application id {uid}"))
                .collect();
            failure.hint(format!(
                "delete or rename the others in GitLab's admin area: {}",
                list.join("; ")
            ))
        }
    }
}
