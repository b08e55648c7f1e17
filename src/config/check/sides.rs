//! How to reach GitLab and Factory.

use super::super::fault::Finding;
use super::super::types::Driver;
use super::super::uri;
use super::{Facts, address, filled};

pub(super) fn gitlab_addresses_are_servers(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    if let Some(gitlab) = &facts.raw.gitlab {
        address("gitlab.url", gitlab.url.as_ref(), uri::base, findings);
        address("gitlab.external_url", gitlab.external_url.as_ref(), uri::base, findings);
    }
}

pub(super) fn gitlab_texts_are_filled(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    if let Some(gitlab) = &facts.raw.gitlab {
        filled("gitlab.ca_file", gitlab.ca_file.as_ref(), findings);
        if let Some(session) = &gitlab.admin_session {
            filled("gitlab.admin_session.username", session.username.as_ref(), findings);
        }
    }
}

pub(super) fn factory_addresses_are_servers(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    if let Some(factory) = &facts.raw.factory {
        address("factory.api_url", factory.api_url.as_ref(), uri::base, findings);
        address("factory.app_url", factory.app_url.as_ref(), uri::base, findings);
    }
}

pub(super) fn the_api_driver_has_a_token(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let Some(factory) = &facts.raw.factory else {
        return;
    };
    let Some(driver) = factory.driver.as_ref().filter(|driver| ***driver == Driver::Api) else {
        return;
    };
    if factory.token.is_none() && !facts.broken.contains("factory.token") {
        findings.push(Finding::new(
            driver.span(),
            "the driver `api` needs `factory.token`",
            "add `token = { env = \"FACTORY_API_KEY\" }` to `[factory]`, or choose the driver `assisted`",
        ));
    }
}
