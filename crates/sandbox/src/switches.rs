//! How the sandbox behaves: each switch is a setting or a mishap of a real instance, and all are off or at GitLab's
//! default until they are set, in the world file (`switches`), by `key=value`, or by a test.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::faults::Fault;
use super::generation::{Generation, PageKind};

/// The switches, under the names that `key=value` takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent on/off settings of an instance"
)]
pub struct Switches {
    /// Version that GitLab reports. It decides what changed between versions: `authn_oauth_application` in the admin
    /// forms from 18, `scopes` in the list of applications from 19.
    pub gitlab_version: String,
    /// Pages that are served in the shape of another generation than that of the version; one is set by
    /// `pages.sign_in=19.5`.
    pub pages: BTreeMap<PageKind, Generation>,
    /// Path under which GitLab is served, such as `/gitlab`; empty: none.
    pub relative_url_root: String,
    /// Admin Mode: administrators re-authenticate in the browser, tokens need the scope `admin_mode`.
    pub admin_mode: bool,
    /// Password sign-in in the browser is off (`password_authentication_enabled_for_web` is false).
    pub password_login_off: bool,
    /// Two-factor authentication is enforced for everybody; who has none is sent to its set-up page.
    pub require_two_factor: bool,
    /// Two-factor authentication is enforced for administrators (`require_admin_two_factor_authentication`).
    pub require_admin_two_factor: bool,
    /// Hours in which the set-up of an enforced second factor can be put off.
    pub two_factor_grace_period: u32,
    /// Whoever signs in with a password alone from an address not seen before is locked out and sent a code by mail.
    pub require_email_verification_on_account_locked: bool,
    /// Wrong passwords that lock an account; none: ten, which GitLab's settings show as null.
    pub max_login_attempts: Option<u32>,
    /// Minutes for which they lock it; none: ten, which GitLab's settings show as null.
    pub failed_login_attempts_unlock_period_in_minutes: Option<u32>,
    /// LDAP servers, by the name of their provider, such as `ldapmain`: each has a form of its own at sign-in.
    pub ldap_servers: BTreeSet<String>,
    /// Providers that take the browser elsewhere, such as `saml`: each has a button at sign-in.
    pub sso_providers: BTreeSet<String>,
    /// The provider that the sign-in page sends everybody to at once; empty: none.
    pub auto_sign_in_with_provider: String,
    /// Providers whose sign-in stands for a second factor (`allow_bypass_two_factor`).
    pub bypass_two_factor_providers: BTreeSet<String>,
    /// Passwords of accounts that have an identity at a provider are not taken.
    pub disable_password_authentication_for_users_with_sso_identities: bool,
    /// Admin Mode needs a step-up at a provider (`omniauth_step_up_auth_for_admin_mode`).
    pub step_up_for_admin_mode: bool,
    /// New accounts are external, also those that are made over the API.
    pub user_default_external: bool,
    /// By which protocols Git is spoken (`enabled_git_access_protocol`): `ssh` or `http`; empty: by both.
    pub enabled_git_access_protocol: String,
    /// Accounts without activity are deactivated.
    pub deactivate_dormant_users: bool,
    /// Days after which they are.
    pub deactivate_dormant_users_period: u32,
    /// A new membership or role waits for an administrator's approval: 202.
    pub memberships_await_approval: bool,
    /// A proxy in front of GitLab drops `Link` and all `X-` headers of answers.
    pub proxy_drops_headers: bool,
    /// What a proxy in front of GitLab does with `%2F` in a path.
    pub proxy_encoded_slash: EncodedSlash,
    /// The status with which a proxy in front of GitLab answers everything itself, as HTML, such as 401, 403 or 520;
    /// 0: it passes requests on.
    pub proxy_status: u16,
    /// The address that all clients seem to come from; empty: their own, or the first of `X-Forwarded-For`.
    pub client_address: String,
    /// Terms of service must be accepted before anything else.
    pub enforce_terms: bool,
    /// The sign-in form carries a reCAPTCHA and refuses without it.
    pub recaptcha: bool,
    /// New accounts must confirm their address first (`email_confirmation_setting` is `hard`).
    pub email_confirmation: bool,
    /// `gitlab_rails['impersonation_enabled']`.
    pub impersonation_enabled: bool,
    /// OAuth secrets are hashed (15.9 and later), so that no page shows them again.
    pub hash_secrets: bool,
    /// Maintenance mode: writes answer 503.
    pub maintenance_mode: bool,
    /// A read-only secondary: writes answer 403.
    pub read_only: bool,
    /// Administrators may not authorize applications with broad scopes.
    pub disable_admin_oauth_scopes: bool,
    /// The instance does not know `read_observability` and `write_observability`.
    pub no_observability_scopes: bool,
    /// The administrator's token lacks these scopes.
    pub token_scopes_missing: BTreeSet<String>,
    /// The administrator's token ends on this day, `YYYY-MM-DD`.
    pub token_expires_at: Option<String>,
    /// Requests to the API that a user may make in one window; 0: no limit, as GitLab ships.
    pub rate_limit: u32,
    /// Length of that window in seconds.
    pub rate_limit_window_seconds: u64,
    /// Whether a 429 says `Retry-After` and `RateLimit-*`; a proxy's 429 may not.
    pub rate_limit_headers: bool,
    /// Sign-ins and other posts to protected paths that an address may make in a minute; 0: no limit.
    pub protected_paths_limit: u32,
    /// Time added to each answer of both sides, in milliseconds.
    pub latency_ms: u64,
    /// Seconds by which the clock of both sides is off.
    pub clock_offset_seconds: i64,
    /// The smallest password that is accepted.
    pub minimum_password_length: u32,
    /// Factory's plan is too small for the integration: 402.
    pub factory_plan_too_small: bool,
    /// The Factory key's owner has the role `user`: 403.
    pub factory_role_too_low: bool,
    /// Factory does not know the key: 401.
    pub factory_key_unknown: bool,
    /// Domains that Factory refuses: their host resolves to no public address, say.
    pub factory_refused_domains: BTreeSet<String>,
    /// Redirect URI of the organization: `current` (on the API host, since 2026-01-27) or `legacy` (on the app host).
    pub factory_redirect: FactoryRedirect,
    /// Mishaps, tried in order on each request.
    pub faults: Vec<Fault>,
    /// Keys that [`Switches::set`] named: they win over a world file even at their default.
    #[serde(skip)]
    explicit: BTreeSet<String>,
}

/// The two generations of Factory's redirect URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum FactoryRedirect {
    /// `APP/api/integrations/redirect/gitlab-sh`.
    Legacy,
    /// `API/api/integrations/redirect/gitlab-sh/callback`.
    #[default]
    Current,
}

/// What a proxy does with an encoded slash in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum EncodedSlash {
    #[default]
    Pass,
    /// Answers 404 itself, as Apache does by default.
    Refuse,
    /// Decodes it, so that GitLab sees another path.
    Decode,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            gitlab_version: "18.5.1-ee".to_owned(),
            pages: BTreeMap::new(),
            relative_url_root: String::new(),
            admin_mode: false,
            password_login_off: false,
            require_two_factor: false,
            require_admin_two_factor: false,
            two_factor_grace_period: 48,
            require_email_verification_on_account_locked: false,
            max_login_attempts: None,
            failed_login_attempts_unlock_period_in_minutes: None,
            ldap_servers: BTreeSet::new(),
            sso_providers: BTreeSet::new(),
            auto_sign_in_with_provider: String::new(),
            bypass_two_factor_providers: BTreeSet::new(),
            disable_password_authentication_for_users_with_sso_identities: false,
            step_up_for_admin_mode: false,
            user_default_external: false,
            enabled_git_access_protocol: String::new(),
            deactivate_dormant_users: false,
            deactivate_dormant_users_period: 90,
            memberships_await_approval: false,
            proxy_drops_headers: false,
            proxy_encoded_slash: EncodedSlash::Pass,
            proxy_status: 0,
            client_address: String::new(),
            enforce_terms: false,
            recaptcha: false,
            email_confirmation: false,
            impersonation_enabled: true,
            hash_secrets: true,
            maintenance_mode: false,
            read_only: false,
            disable_admin_oauth_scopes: false,
            no_observability_scopes: false,
            token_scopes_missing: BTreeSet::new(),
            token_expires_at: None,
            rate_limit: 0,
            rate_limit_window_seconds: 60,
            rate_limit_headers: true,
            protected_paths_limit: 10,
            latency_ms: 0,
            clock_offset_seconds: 0,
            minimum_password_length: 8,
            factory_plan_too_small: false,
            factory_role_too_low: false,
            factory_key_unknown: false,
            factory_refused_domains: BTreeSet::new(),
            factory_redirect: FactoryRedirect::Current,
            faults: Vec::new(),
            explicit: BTreeSet::new(),
        }
    }
}

impl Switches {
    /// Sets one switch from `key=value`; the value is JSON, or else taken as text. `gitlab=19.5` stands for a version
    /// of that generation, `gitlab=unknown` for pages that no version has.
    ///
    /// # Errors
    /// There is no such switch, or it does not take that value; the text says which.
    pub fn set(&mut self, assignment: &str) -> Result<(), String> {
        let (key, text) = assignment
            .split_once('=')
            .ok_or_else(|| format!("`{assignment}` is no switch: write key=value"))?;
        if key == "gitlab" {
            return self.set_generation(text);
        }
        let value = serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::from(text));
        let changed = match self.with_value(key, value) {
            Ok(changed) => changed,
            // `gitlab_version=18` reads as a number, and is meant as a text.
            Err(error) => self.with_value(key, serde_json::Value::from(text)).map_err(|_| error)?,
        };
        *self = changed;
        let key = key.split_once('.').map_or(key, |(whole, _)| whole);
        self.explicit.insert(key.to_owned());
        Ok(())
    }

    /// Makes the instance one of that generation.
    fn set_generation(&mut self, name: &str) -> Result<(), String> {
        let generation = Generation::named(name).ok_or_else(|| {
            let names: Vec<&str> = Generation::ALL.into_iter().map(Generation::name).collect();
            format!(
                "there is no generation `{name}` of GitLab; there are: {}",
                names.join(", ")
            )
        })?;
        if generation == Generation::Unknown {
            self.pages = PageKind::ALL.into_iter().map(|page| (page, generation)).collect();
            self.explicit.insert("pages".to_owned());
        } else {
            self.gitlab_version = format!("{name}.0-ee");
            self.explicit.insert("gitlab_version".to_owned());
        }
        Ok(())
    }

    /// The shape in which a page is served.
    pub fn shape(&self, page: PageKind) -> Generation {
        self.pages
            .get(&page)
            .copied()
            .unwrap_or_else(|| Generation::of(self.version()))
    }

    /// The names of all switches, sorted.
    pub fn names() -> Vec<String> {
        let mut names: Vec<String> = to_map(&Self::default()).into_iter().map(|(key, _)| key).collect();
        names.push("gitlab".to_owned());
        names.sort();
        names
    }

    /// These switches with all that `over` sets (by [`Switches::set`], or by not being at the default) laid over them.
    #[must_use]
    pub fn overlaid(&self, over: &Self) -> Self {
        let default = to_map(&Self::default());
        let mut map = to_map(self);
        for (key, value) in to_map(over) {
            if over.explicit.contains(&key) || default.get(&key) != Some(&value) {
                map.insert(key, value);
            }
        }
        serde_json::from_value(serde_json::Value::Object(map)).unwrap_or_else(|_| self.clone())
    }

    /// Major and minor version of GitLab.
    pub fn version(&self) -> (u32, u32) {
        let mut parts = self
            .gitlab_version
            .split(['.', '-'])
            .map(|part| part.parse().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    }

    /// Whether the version is that or a later one.
    pub fn at_least(&self, major: u32, minor: u32) -> bool {
        self.version() >= (major, minor)
    }

    /// The prefix of the admin application form's fields: GitLab renamed the class behind the form in 18.
    pub fn application_form_prefix(&self) -> &'static str {
        if self.shape(PageKind::Application) >= Generation::V18_5 {
            "authn_oauth_application"
        } else {
            "doorkeeper_application"
        }
    }

    /// The scopes that this instance knows (GitLab: lib/gitlab/auth.rb).
    pub fn known_scopes(&self) -> Vec<&'static str> {
        let mut scopes = vec![
            "api",
            "read_api",
            "read_user",
            "create_runner",
            "manage_runner",
            "k8s_proxy",
            "self_rotate",
            "read_repository",
            "write_repository",
            "read_registry",
            "write_registry",
            "read_virtual_registry",
            "write_virtual_registry",
        ];
        if !self.no_observability_scopes {
            scopes.extend(["read_observability", "write_observability"]);
        }
        scopes.extend([
            "ai_features",
            "sudo",
            "admin_mode",
            "read_service_ping",
            "openid",
            "profile",
            "email",
        ]);
        scopes
    }

    fn with_value(&self, key: &str, value: serde_json::Value) -> Result<Self, String> {
        let mut map = to_map(self);
        if let Some((whole, part)) = key.split_once('.')
            && let Some(serde_json::Value::Object(parts)) = map.get_mut(whole)
        {
            parts.insert(part.to_owned(), value);
            return self.with_map(key, map);
        }
        if !map.contains_key(key) {
            return Err(format!(
                "there is no switch `{key}`; there are: {}",
                Self::names().join(", ")
            ));
        }
        map.insert(key.to_owned(), value);
        self.with_map(key, map)
    }

    fn with_map(&self, key: &str, map: serde_json::Map<String, serde_json::Value>) -> Result<Self, String> {
        let mut changed: Self = serde_json::from_value(serde_json::Value::Object(map))
            .map_err(|error| format!("switch `{key}`: {error}"))?;
        changed.explicit.clone_from(&self.explicit);
        Ok(changed)
    }
}

fn to_map(switches: &Switches) -> serde_json::Map<String, serde_json::Value> {
    match serde_json::to_value(switches) {
        Ok(serde_json::Value::Object(map)) => map,
        _ => serde_json::Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_set_by_name() {
        let mut switches = Switches::default();
        switches.set("admin_mode=true").unwrap();
        switches.set("gitlab_version=19.1.0").unwrap();
        switches.set("latency_ms=50").unwrap();
        assert!(switches.admin_mode && switches.at_least(19, 0) && switches.latency_ms == 50);
        switches.set("gitlab_version=16").unwrap();
        assert_eq!(switches.version(), (16, 0));
    }

    #[test]
    fn a_generation_is_set_by_its_version_and_a_page_by_itself() {
        let mut switches = Switches::default();
        switches.set("gitlab=19.3").unwrap();
        assert_eq!(switches.version(), (19, 3));
        assert_eq!(switches.shape(PageKind::Consent), Generation::V19_3);
        switches.set("pages.second_factor=19.5").unwrap();
        switches.set("pages.consent=unknown").unwrap();
        assert_eq!(switches.shape(PageKind::SecondFactor), Generation::V19_5);
        assert_eq!(switches.shape(PageKind::Consent), Generation::Unknown);
        assert_eq!(switches.shape(PageKind::SignIn), Generation::V19_3);
        assert!(switches.set("gitlab=12.0").unwrap_err().contains("16.11"));
        assert!(
            switches
                .set("pages.consent=12.0")
                .unwrap_err()
                .contains("pages.consent")
        );
        assert!(switches.set("pages.none=19.5").is_err());
        let kept = Switches::default().overlaid(&switches);
        assert_eq!(kept.shape(PageKind::SecondFactor), Generation::V19_5);
        switches.set("gitlab=unknown").unwrap();
        assert!(
            PageKind::ALL
                .into_iter()
                .all(|page| switches.shape(page) == Generation::Unknown)
        );
    }

    #[test]
    fn an_unknown_switch_or_a_wrong_value_is_refused() {
        let mut switches = Switches::default();
        assert!(switches.set("admin_mod=true").unwrap_err().contains("admin_mode"));
        assert!(switches.set("latency_ms=soon").unwrap_err().contains("latency_ms"));
        assert!(switches.set("latency_ms").is_err());
        assert_eq!(switches, Switches::default());
    }

    #[test]
    fn what_was_set_wins_over_a_file_even_at_its_default() {
        let mut file = Switches::default();
        file.set("admin_mode=true").unwrap();
        file.set("latency_ms=9").unwrap();
        let mut over = Switches::default();
        over.set("admin_mode=false").unwrap();
        let both = file.overlaid(&over);
        assert!(!both.admin_mode);
        assert_eq!(both.latency_ms, 9);
    }
}
