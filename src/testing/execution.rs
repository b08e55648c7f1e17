//! How the executor is run against the world: every call it makes, the writes of the record among them, is a point at
//! which it can be cut off, refused, or left without an answer.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::faults::{Cut, Fault};
use super::world::{App, Integration, Sides, World};
use crate::executor::{Effects, Executed, Options, SecretStore, execute};
use crate::factory::AssistedFactory;
use crate::gitlab::{AdminRead, AdminWrite, DroidSession};
use crate::http::{Error, Result, Side};
use crate::model::{
    Address, ApplicationOperation, Attestation, Command, Desired, Kind, Observed, Operation, Outcome, Plan,
    RecordedState, SourceKind, UserId,
};
use crate::observe::{Doors, LoadedSecret, Sources, observe};
use crate::planner::{Word, refresh, take_over};
use crate::secrets::Secret;
use crate::state::{Holder, LockInfo, StateError, StateStore, check_ancestor, parse, render, successor};

/// How a plan is walked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    pub(crate) parallelism: usize,
    pub(crate) fail_fast: bool,
    pub(crate) until: Option<Instant>,
}

impl Default for How {
    fn default() -> Self {
        Self {
            parallelism: 4,
            fail_fast: false,
            until: None,
        }
    }
}

/// One write after the other.
pub(crate) fn in_turn() -> How {
    How {
        parallelism: 1,
        ..How::default()
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(work)
}

impl World {
    /// What the observer makes of it.
    pub(crate) fn observe(&self, desired: &Desired) -> Observed {
        let (record, assisted, admin_session, loaded_secret) = {
            let mut sides = self.get();
            sides.begin();
            let loaded_secret = match (sides.loads, sides.saved.last()) {
                (false, _) => LoadedSecret::NotConfigured,
                (true, None) => LoadedSecret::Nothing,
                (true, Some(secret)) => LoadedSecret::Secret(Secret::new(secret)),
            };
            (sides.record.clone(), sides.assisted, sides.admin_session, loaded_secret)
        };
        let attested = AssistedFactory::new(record.clone());
        let sources = Sources {
            gitlab: self,
            admin: admin_session.then_some(self as &dyn AdminRead),
            droid: assisted.then_some(self as &dyn DroidSession),
            factory: if assisted { &attested } else { self },
            loaded_secret,
            kept_key: LoadedSecret::NotConfigured,
            doors: Doors {
                keeper: self,
                admin: None,
                droid: None,
            },
            sign_out: None,
        };
        block_on(observe(&sources, desired, &record)).unwrap()
    }

    /// Observes, plans and carries out. None where the process ended on the way.
    pub(crate) fn apply(&self, desired: &Desired, command: Command, how: How) -> Option<Executed> {
        let (observed, plan) = self.look(desired, command);
        self.carry_out(desired, &observed, &plan, how)
    }

    /// Carries a plan out, with the refreshed record. None where the process ended on the way.
    pub(crate) fn carry_out(&self, desired: &Desired, observed: &Observed, plan: &Plan, how: How) -> Option<Executed> {
        let mut adopted = refresh(desired, observed, &self.get().record, plan);
        let admin_session = {
            let mut sides = self.get();
            sides.begin();
            sides.stored.clear();
            sides.admin_session
        };
        let assisted = self.get().assisted;
        let clock = || "2026-01-02T03:04:05Z".parse().unwrap();
        let effects = Effects {
            gitlab_read: self,
            gitlab: self,
            admin: admin_session.then_some(self as &dyn AdminWrite),
            droid: Some(self),
            factory_read: self,
            factory: if assisted { None } else { Some(self) },
            secret_store: self,
            authenticator_store: self,
            droid_password: Some(Secret::new("canary-password")),
            operator: self,
            approve_at: &|url, _| Ok(url.parse().expect("an authorize URL")),
            clock: &clock,
        };
        let options = Options {
            parallelism: how.parallelism,
            fail_fast: how.fail_fast,
            stop: &self.stop,
            until: how.until,
        };
        let keep = |event| self.get().events.push(event);
        let work = async {
            if adopted != self.get().record {
                self.write(&mut adopted).await.ok()?;
            }
            Some(execute(plan, adopted, &effects, self, &options, &keep).await)
        };
        let executed = block_on(self.until_death(work)).flatten();
        let mut sides = self.get();
        sides.cut = None;
        if let Some(executed) = &executed {
            sides.check_report(plan, executed);
        }
        sides.check_text();
        sides.check_record();
        executed
    }

    /// What `adopt` does with the word of a person who says what is so. None where the process ended on the way, or the
    /// record could not be written.
    pub(crate) fn adopt(&self, desired: &Desired, cut: Option<Cut>) -> Option<()> {
        let observed = self.observe(desired);
        let (mut next, writes) = {
            let sides = self.get();
            let word = sides.word(desired, &observed);
            (take_over(desired, &observed, &sides.record, &word).ok()?, sides.writes)
        };
        self.get().cut = cut;
        let written = block_on(self.until_death(self.write(&mut next)));
        let mut sides = self.get();
        sides.cut = None;
        sides.check_text();
        assert_eq!(sides.writes, writes, "it writes to neither side");
        written?.ok()
    }

    async fn until_death<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if self.get().dead => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    pub(super) async fn read_from<T: Send>(
        &self,
        name: &str,
        look: impl FnOnce(&Sides) -> Result<T> + Send,
    ) -> Result<T> {
        self.call(&format!("read {name}"), |sides| look(sides)).await
    }

    /// One write to a side. It must have been announced in the stored record.
    pub(super) async fn write_to<T: Send>(
        &self,
        name: &str,
        kind: Kind,
        act: impl FnOnce(&mut Sides) -> Result<T> + Send,
    ) -> Result<T> {
        {
            let mut sides = self.get();
            let mut intents = sides.record.intents.iter();
            let announced = intents.any(|intent| intent.address.kind() == kind);
            assert!(sides.dead || announced, "`{name}` was not announced");
            sides.writes += 1;
        }
        self.call(name, act).await
    }

    /// One call: counted, logged, and carried out unless it is where something goes wrong.
    pub(super) async fn call<T: Send>(
        &self,
        name: &str,
        act: impl FnOnce(&mut Sides) -> Result<T> + Send,
    ) -> Result<T> {
        if self.get().dead {
            return std::future::pending().await;
        }
        let (number, fault) = {
            let mut sides = self.get();
            sides.calls += 1;
            sides.running += 1;
            sides.most_running = sides.most_running.max(sides.running);
            sides.log.push(name.to_owned());
            if let Some((prefix, reason)) = sides.stop_at
                && name.starts_with(prefix)
            {
                self.stop.request(reason);
            }
            let number = sides.calls;
            let fault = sides.cut.as_ref().and_then(|cut| cut.fault_at(number, name));
            sides.met_cut |= fault.is_some();
            (number, fault)
        };
        // As a request does, it lets others run meanwhile, before it arrives and before its answer does.
        let pause = async |times: usize| {
            for _ in 0..times {
                tokio::task::yield_now().await;
            }
        };
        pause(1 + number % 3).await;
        let result = match fault {
            None => act(&mut self.get()),
            Some(Fault::Fail { kind, processed }) => {
                if processed {
                    let _ = act(&mut self.get());
                }
                Err(Error::new(Side::Gitlab, kind, name, "it went wrong"))
            }
            Some(Fault::Die { processed }) => {
                if processed {
                    let _ = act(&mut self.get());
                }
                self.get().dead = true;
                return std::future::pending().await;
            }
        };
        pause(number * 5 % 3).await;
        self.get().running -= 1;
        result
    }
}

#[async_trait]
impl StateStore for World {
    fn place(&self) -> String {
        "memory".to_owned()
    }

    async fn read(&self) -> std::result::Result<Option<RecordedState>, StateError> {
        Ok(Some(self.get().record.clone()))
    }

    async fn write(&self, record: &mut RecordedState) -> std::result::Result<(), StateError> {
        let next = successor(record);
        {
            let sides = self.get();
            if sides.full_from.is_some_and(|at| sides.stored.len() + 1 >= at) {
                return Err(StateError::Encode("no space".to_owned()));
            }
        }
        let written = self.call("state", |sides| {
            let stored = &sides.record;
            Ok(
                check_ancestor(&stored.lineage, stored.serial, record, "memory").map(|()| {
                    sides.record = next.clone();
                    sides.stored.push(next.clone());
                }),
            )
        });
        written.await.map_err(StateError::Backend)??;
        *record = next;
        Ok(())
    }

    async fn lock(&self, _: &LockInfo, _: Duration) -> std::result::Result<(), StateError> {
        Ok(())
    }

    async fn unlock(&self, _: &str) -> std::result::Result<(), StateError> {
        Ok(())
    }

    async fn holder(&self) -> std::result::Result<Holder, StateError> {
        Ok(Holder::Unknown)
    }

    async fn probe(&self, _: &RecordedState) -> std::result::Result<(), StateError> {
        Ok(())
    }

    async fn replace(&self, _: &mut RecordedState) -> std::result::Result<Option<std::path::PathBuf>, StateError> {
        unreachable!("an execution replaces no record")
    }
}

#[async_trait]
impl SecretStore for World {
    fn saves(&self) -> bool {
        self.get().saves
    }

    async fn save(&self, secret: &Secret) -> std::result::Result<(), String> {
        if !self.saves() {
            return Ok(());
        }
        self.get().unsaved = true;
        if self.get().store_is_down {
            return Err("the store is sealed".to_owned());
        }
        let saved = self.call("save secret", |sides| {
            sides.saved.push(secret.expose().to_owned());
            Ok(())
        });
        saved.await.map_err(|error| error.to_string())?;
        self.get().unsaved = false;
        Ok(())
    }

    async fn load(&self) -> std::result::Result<Option<Secret>, String> {
        let sides = self.get();
        Ok(sides.saved.last().filter(|_| sides.loads).map(Secret::new))
    }
}

impl Sides {
    /// What a person would say who knows both sides.
    fn word(&self, desired: &Desired, observed: &Observed) -> Word {
        let droid = observed.gitlab.user.as_ref().map(|user| user.id);
        let trusted = |app: &App| app.declared.trusted == desired.application.trusted;
        let domain = |integration: &Integration| integration.domain == desired.connection.domain;
        Word {
            attestation: Attestation {
                by: "ada@desk".to_owned(),
                at: "2026-01-02T03:04:05Z".parse().unwrap(),
            },
            trusted: self.apps.first().is_some_and(trusted),
            connected: self.takes_factorys_secret() && self.integration.as_ref().is_some_and(domain),
            authorized: droid.is_some() && self.connected() == droid,
        }
    }

    fn begin(&mut self) {
        self.log.clear();
        self.events.clear();
        (self.calls, self.running, self.most_running) = (0, 0, 0);
        (self.dead, self.met_cut) = (false, false);
    }

    /// The next process knows what the text of the record says, and nothing more. It says no secret.
    fn check_text(&self) {
        let text = render(&self.record).unwrap();
        assert!(
            !String::from_utf8_lossy(&text).contains("canary"),
            "a secret in the record"
        );
        assert_eq!(parse(&text, "memory").unwrap(), self.record);
    }

    /// Every change ends once, and is reported as it ended, without a secret.
    fn check_report(&self, plan: &Plan, executed: &Executed) {
        let mut ended = BTreeSet::new();
        for event in &self.events {
            assert!(!format!("{event:?}").contains("canary"), "{event:?}");
            if let crate::executor::Event::Finished(outcome) = event {
                assert!(executed.outcomes.contains(outcome), "{outcome:?}");
                let is_new = ended.insert((&outcome.address, outcome.fallback));
                assert!(is_new, "{} ended twice", outcome.address);
            }
        }
        assert_eq!(ended.len(), executed.outcomes.len());
        let planned = executed.outcomes.iter().filter(|outcome| !outcome.fallback).count();
        assert_eq!(planned, plan.changes.len());
        let done = executed.outcomes.iter().all(|one| one.outcome == Outcome::Done);
        assert!(!done || self.record.intents.is_empty() || executed.unwritten.is_some());
    }

    /// What must hold whenever a run is cut off: whatever was made is in the record, or its announcement is.
    fn check_record(&self) {
        let record = &self.record;
        let announced = |address: &Address| record.intents_of(address).next().is_some();
        for app in self.apps.iter().filter(|app| self.made.applications.contains(&app.id)) {
            let recorded = record.application.as_ref().is_some_and(|ours| ours.uid == app.uid);
            let superseded = record.superseded.contains_key(&app.id);
            let findable = record.intents.iter().any(|intent| {
                matches!(
                    intent.operation,
                    Operation::Application(ApplicationOperation::Create { .. })
                ) && !intent.applications_before.contains(&app.id)
            });
            assert!(
                recorded || superseded || findable,
                "nobody remembers {app:?}: {record:#?}"
            );
        }
        if let Some(id) = self.made.user.filter(|id| self.users.contains_key(id)) {
            assert!(
                record.user.is_some() || announced(&Address::User),
                "nobody remembers user {id}"
            );
        }
        for (user, source) in self.made.members.iter().filter(|made| self.members.contains_key(made)) {
            assert!(
                self.remembers_member(*user, *source),
                "nobody remembers {source:?}: {record:#?}"
            );
        }
        for id in self.made.repositories.intersection(&self.enabled) {
            let address = Address::Repository(self.projects[id].path.clone());
            let remembered = record.repositories.contains_key(id) || announced(&address);
            assert!(remembered, "nobody remembers {address}: {record:#?}");
        }
        if let Some(integration) = self.integration.as_ref().filter(|_| self.made.connection) {
            let recorded = record.connection.as_ref().map(|connection| &connection.application);
            let known = recorded == Some(&integration.uid) || announced(&Address::Connection);
            assert!(known, "nobody remembers the connection: {record:#?}");
            let droid = record.user.as_ref().map(|user| user.id);
            let authorized = record.authorization.is_some() || announced(&Address::Authorization);
            assert!(
                authorized || droid.is_none() || self.connected() != droid,
                "nobody remembers the approval: {record:#?}"
            );
        }
    }

    fn remembers_member(&self, _: UserId, source: SourceKind) -> bool {
        let record = &self.record;
        record
            .memberships
            .values()
            .any(|membership| membership.source == source)
            || record
                .intents
                .iter()
                .any(|intent| intent.address.kind() == Kind::Membership)
    }
}
