//! A person's part of the walk: prompts are put one at a time, and what was answered is recorded, bound to its values.

use super::attest::{attest, denial};
use super::effects::{Answer, Prompt};
use super::run::Failure;
use super::walk::{Progress, Stage, Walk, is_optional, is_repository};
use crate::model::{
    ApplicationId, ApplicationRef, ApplicationUid, Attestation, Change, Corroboration, OperatorStep, Outcome,
    SecretSource, Seen,
};

impl<'a> Walk<'a> {
    /// Puts the next prompt before the person. Whether there was one.
    pub(super) async fn ask_next(&mut self) -> bool {
        let asking = |(at, progress): (usize, &Progress<'_>)| match progress.stage {
            Stage::Asking(step) => Some(((at, step), is_repository(progress.change))),
            _ => None,
        };
        let mut asked = self.progress.values().enumerate().filter_map(asking);
        let Some((first, of_repository)) = asked.next() else {
            return false;
        };
        let mut prompt: Vec<(usize, usize)> = vec![first];
        if of_repository {
            prompt.extend(asked.filter_map(|(place, of_repository)| of_repository.then_some(place)));
        }
        if let Some(why) = self.stop() {
            for (at, _) in prompt {
                self.end(at, Outcome::Operator, Some(format!("a person's step is left: {why}")));
            }
            return true;
        }
        let Progress { change, unplanned, .. } = &self.progress[first.0];
        if let Some(approve @ OperatorStep::Approve { .. }) = change.steps.get(first.1).or(*unplanned) {
            self.have_approved(first, approve).await;
            return true;
        }
        let (answer, seen) = if self.quit {
            (Answer::Quit, Seen::Nothing)
        } else {
            self.ask_until_confirmed(&prompt).await
        };
        match answer {
            Answer::Attested { by } => {
                let step = self.step(prompt[0]);
                if self.record_answer(prompt, by).await {
                    self.run.effects.operator.recorded(step, &seen);
                }
            }
            Answer::Later => self.leave(&prompt, "a person's step is left"),
            Answer::Skipped => {
                self.defer(&prompt);
            }
            Answer::Quit => {
                self.quit = true;
                self.defer(&prompt);
            }
        }
        true
    }

    /// What depends on it is not asked for either.
    fn defer(&mut self, prompt: &[(usize, usize)]) {
        for (at, _) in prompt {
            self.progress[*at].deferred = true;
        }
        self.leave(prompt, "the step was put off");
    }

    /// Leaves steps to a person. Where nothing else depends on them, a replacement is finished all the same.
    fn leave(&mut self, prompt: &[(usize, usize)], why: &str) {
        for &(at, step) in prompt {
            let steps = &self.progress[at].change.steps[step..];
            if steps.iter().all(is_optional) && self.awaits_cleanup(at) {
                let progress = &mut self.progress[at];
                progress.pending_reason = Some(why.to_owned());
                progress.stage = Stage::AwaitingCleanup;
            } else {
                self.end(at, Outcome::Operator, Some(why.to_owned()));
            }
        }
    }

    fn step(&self, (at, step): (usize, usize)) -> &'a OperatorStep {
        &self.progress[at].change.steps[step]
    }

    /// Puts a prompt, and again as long as the answer is that it is done and GitLab denies it.
    async fn ask_until_confirmed(&self, prompt: &[(usize, usize)]) -> (Answer, Seen) {
        let mut objection = None;
        loop {
            let answer = self.put(prompt, objection.as_deref()).await;
            if !matches!(answer, Answer::Attested { .. }) || self.stop().is_some() {
                return (answer, Seen::Nothing);
            }
            match self.look(prompt).await {
                Ok(seen) => return (answer, seen),
                Err(denial) => objection = Some(denial),
            }
        }
    }

    /// What the droid's own page of authorized applications says of an approval; the error is what it has against it. A page
    /// that cannot be read says nothing.
    async fn look(&self, prompt: &[(usize, usize)]) -> Result<Seen, String> {
        let username = prompt.iter().find_map(|place| match self.step(*place) {
            OperatorStep::Authorize { username } => Some(username),
            _ => None,
        });
        let Some(username) = username else {
            return Ok(Seen::Nothing);
        };
        let application = self.run.state.record().application.clone();
        let (Some(application), Some(droid)) = (application, self.run.effects.droid) else {
            return Ok(Seen::Unread(None));
        };
        let evidence = match droid.evidence(username).await {
            Ok(evidence) => evidence,
            Err(error) => return Ok(Seen::Unread(Some(error.message.clone()))),
        };
        match denial(&evidence, &application, username) {
            Some(denial) => Err(denial),
            None => Ok(Seen::Authorized(Corroboration {
                authorized_application: application.fields.name,
                authorized_at: evidence.authorized.get(&application.id).copied().flatten(),
                last_activity_on: None,
            })),
        }
    }

    /// The number of a prompt among all of the plan's, and how many these are.
    fn place_of(&self, (at, step): (usize, usize)) -> (usize, usize) {
        let all = |changes: &[Change]| {
            let steps = || changes.iter().flat_map(|change| &change.steps);
            let others = steps().filter(|step| step.project().is_none()).count();
            (others, steps().any(|step| step.project().is_some()))
        };
        let (others, repositories) = all(&self.plan.changes);
        let of = others + usize::from(repositories);
        if self.step((at, step)).project().is_some() {
            return (of, of);
        }
        (all(&self.plan.changes[..at]).0 + step + 1, of)
    }

    async fn put(&self, prompt: &[(usize, usize)], objection: Option<&str>) -> Answer {
        let steps: Vec<_> = prompt
            .iter()
            .map(|place| (&self.progress[place.0].change.address, self.step(*place)))
            .collect();
        let (number, of) = self.place_of(prompt[0]);
        let application = steps.first().and_then(|(_, step)| self.application_of(step));
        let source = steps.iter().find_map(|(_, step)| match step {
            OperatorStep::SaveConnection { secret, .. } => Some(*secret),
            _ => None,
        });
        let (secret, secret_saved) = match source {
            Some(SecretSource::Fresh) => {
                let fresh = self.run.fresh.borrow().clone();
                let saved = fresh.as_ref().is_some_and(|fresh| fresh.saved);
                (fresh.map(|fresh| fresh.secret), saved)
            }
            Some(SecretSource::Loaded) => (self.run.secret(SecretSource::Loaded).await.ok(), false),
            None => (None, false),
        };
        self.run
            .effects
            .operator
            .ask(Prompt {
                steps,
                application: application.as_ref(),
                objection,
                secret: secret.as_ref(),
                secret_saved,
                number,
                of,
            })
            .await
    }

    fn application_of(&self, step: &OperatorStep) -> Option<(ApplicationId, ApplicationUid)> {
        match step {
            OperatorStep::SetTrusted { application, .. } | OperatorStep::SaveConnection { application, .. } => {
                self.run.application(application).ok()
            }
            OperatorStep::Authorize { .. } => self.run.application(&ApplicationRef::Planned).ok(),
            OperatorStep::AcceptTerms { .. }
            | OperatorStep::DeleteConnection
            | OperatorStep::Approve { .. }
            | OperatorStep::EnableRepository { .. }
            | OperatorStep::DisableRepository { .. } => None,
        }
    }

    /// All of a prompt in one state write. Whether all of it was recorded.
    async fn record_answer(&mut self, prompt: Vec<(usize, usize)>, by: String) -> bool {
        let attestation = Attestation {
            by,
            at: (self.run.effects.clock)(),
        };
        let mut edits = Vec::with_capacity(prompt.len());
        for &(at, step) in &prompt {
            let step = self.step((at, step));
            let fingerprint = match step {
                OperatorStep::SaveConnection { secret, .. } => self.fingerprint(*secret).await,
                _ => None,
            };
            let application = self.application_of(step).map(|(_, uid)| uid);
            edits.push((step, application, fingerprint));
        }
        let droid = self.run.droid();
        let mut results = Vec::with_capacity(prompt.len());
        let written = self
            .run
            .state
            .edit(|record| {
                for (step, application, fingerprint) in edits {
                    results.push(attest(
                        record,
                        step,
                        &attestation,
                        application.as_ref(),
                        fingerprint,
                        droid,
                    ));
                }
            })
            .await;
        let mut all = true;
        for ((at, step), result) in prompt.into_iter().zip(results) {
            match result.and_then(|()| written.clone()) {
                Ok(()) => self.advance(at, step + 1),
                Err(why) => {
                    all = false;
                    self.end(
                        at,
                        Outcome::Failed,
                        Some(format!("the step could not be recorded: {why}")),
                    );
                }
            }
        }
        all
    }

    /// The fingerprint of the secret that a person was to type in, as far as it can be had.
    async fn fingerprint(&self, source: SecretSource) -> Option<String> {
        let recorded = self.run.state.record().application.as_ref()?.secret_fingerprint.clone();
        match self.run.secret(source).await {
            Ok(secret) => {
                let lineage = self.run.state.record().lineage.clone();
                Some(secret.fingerprint(&lineage))
            }
            Err(Failure(_)) => recorded,
        }
    }
}
