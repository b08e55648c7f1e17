//! An approval that a person gives in a browser: the attempt is started, where and as whom is shown, and Factory's own
//! answer says whether it was the droid. Nobody's word is taken for it, so it leaves no announcement either: whatever ends
//! the run while it waits, the next one finds Factory connected, or starts another attempt.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::effects::{Invitation, Options, Waited};
use super::run::{Failure, Run, Step, describe};
use super::walk::Walk;
use super::writes::stop_words;
use crate::gitlab::Approval;
use crate::model::{Address, ApplicationRef, ApproveAt, ObservedIntegration, OperatorStep, Outcome};

/// How long an attempt is waited for whose end Factory does not say.
const LIFE: SignedDuration = SignedDuration::from_mins(10);
/// The clocks of this machine and of Factory may differ: an attempt is waited for at least, and at most, so long.
const LEAST: SignedDuration = SignedDuration::from_mins(1);
const MOST: SignedDuration = SignedDuration::from_hours(1);

/// What came of an invitation.
enum Ended {
    /// Factory is connected as the droid.
    Connected,
    /// Nobody approved it yet.
    Left {
        at: Option<ApproveAt>,
        why: String,
        waited: Waited,
    },
}

impl Walk<'_> {
    /// Has a person approve Factory's access as the droid.
    pub(super) async fn have_approved(&mut self, (at, number): (usize, usize), step: &OperatorStep) {
        let OperatorStep::Approve {
            username,
            application,
            scopes,
            redirect_uris,
        } = step
        else {
            return;
        };
        let ended = if self.quit {
            Ok(Ended::Left {
                at: None,
                why: "the step was put off".to_owned(),
                waited: Waited::Quit,
            })
        } else {
            let options = self.options;
            self.run
                .have_approved(username, application, scopes, redirect_uris, options)
                .await
        };
        match ended {
            Ok(Ended::Connected) => self.advance(at, number + 1),
            Ok(Ended::Left {
                at: address,
                why,
                waited,
            }) => {
                self.quit |= waited == Waited::Quit;
                self.progress[at].deferred = true;
                self.progress[at].approve_at = address;
                self.end(at, Outcome::Operator, Some(why));
            }
            Err(Failure(why)) => self.end(at, Outcome::Failed, Some(why)),
        }
    }
}

impl Run<'_> {
    async fn have_approved(
        &self,
        username: &str,
        application: &ApplicationRef,
        scopes: &BTreeSet<String>,
        redirect_uris: &BTreeSet<String>,
        options: &Options<'_>,
    ) -> Step<Ended> {
        let factory = self.factory()?;
        let (_, uid) = self.application(application)?;
        let approval = Approval {
            application: &uid,
            scopes,
            redirect_uris,
        };
        // Why a person is asked where Setpoint was to do it, and then what was wrong with the approval before.
        let mut objection = self.left_to_a_person.get().map(|left| left.why.clone());
        loop {
            let before = self.asked_factory().await?;
            // Somebody may have approved an attempt of an earlier run.
            if self.is_connected(before.as_ref(), username).await?.is_ok() {
                return Ok(Ended::Connected);
            }
            let attempt = factory.start_authorization().await?;
            let url = (self.effects.approve_at)(&attempt.url, &approval)?;
            let began = (self.effects.clock)();
            let life = attempt
                .expires_at
                .map_or(LIFE, |end| end.duration_since(began).clamp(LEAST, MOST));
            let at = ApproveAt {
                url: url.into(),
                username: username.to_owned(),
                expires_at: attempt.expires_at,
            };
            let mut invitation = Invitation {
                at: &at,
                objection: objection.as_deref(),
                is_repeated: false,
            };
            objection = loop {
                let waited = self.effects.operator.invite(&invitation).await;
                invitation.is_repeated = true;
                if waited != Waited::Later {
                    let now = self.asked_factory().await?;
                    if now != before {
                        match self.is_connected(now.as_ref(), username).await? {
                            Ok(()) => return Ok(Ended::Connected),
                            Err(why) => break Some(why),
                        }
                    }
                }
                let why = match (waited, options.stopped()) {
                    (_, Some(reason)) => stop_words(reason),
                    (Waited::Quit | Waited::Skipped, None) => "the step was put off",
                    (Waited::Later, None) => "a person has to approve it",
                    (Waited::Another, None) => break None,
                    (Waited::ForAWhile, None) if (self.effects.clock)().duration_since(began) < life => continue,
                    (Waited::ForAWhile, None) => {
                        break Some("the address before has expired, and Factory is not connected by it".to_owned());
                    }
                };
                let why = match invitation.objection {
                    Some(objection) => format!("{objection}; {why}"),
                    None => format!("{why}, signed in to GitLab as `{username}`"),
                };
                return Ok(Ended::Left {
                    at: Some(at),
                    why,
                    waited,
                });
            };
        }
    }

    async fn asked_factory(&self) -> Step<Option<ObservedIntegration>> {
        let asked = self.effects.factory_read.integration().await;
        asked.map_err(|error| {
            Failure(format!(
                "Factory could not be asked whom it is connected as: {}",
                describe(&error)
            ))
        })
    }

    /// Whether Factory acts as the droid, which is recorded; else what is against it. Of what is not connected nothing is
    /// recorded: it may have been so before.
    async fn is_connected(&self, seen: Option<&ObservedIntegration>, username: &str) -> Step<Result<(), String>> {
        match self.check_connected(seen.cloned(), username) {
            Ok(authorization) => {
                let recorded = self.state.edit(|record| {
                    record.authorization = Some(authorization);
                    // An earlier run may have announced that it does this itself.
                    record.intents.retain(|intent| intent.address != Address::Authorization);
                });
                recorded.await.map_err(|state| super::run::unrecorded(&state))?;
                Ok(Ok(()))
            }
            Err(why) => Ok(Err(why)),
        }
    }
}
