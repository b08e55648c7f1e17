//! Whether Factory, which is elsewhere, can reach the GitLab that it is given: what its name leads to, and whether its
//! certificate is one that everybody trusts. Only Factory can tell for certain; seen from here, both are hints.

use std::net::IpAddr;

use url::Host;

use super::Check;
use super::side::GitlabSide;
use crate::config::{not_public, not_public_address};
use crate::gitlab::GitlabInspect;
use crate::http::ErrorKind;
use crate::urls::origin;

/// Both hints; none where the sandbox stands in, or GitLab is on this machine.
pub(super) async fn check(side: &GitlabSide<'_>) -> Vec<Check> {
    let Some(as_the_public) = side.as_the_public else {
        return Vec::new();
    };
    let external = &side.config.gitlab.external_url;
    let mut checks = Vec::new();
    if let Some(Host::Domain(name)) = external.host()
        && not_public(external).is_none()
    {
        let port = external.port_or_known_default().unwrap_or(443);
        let found = tokio::net::lookup_host((name, port)).await;
        checks.push(of_addresses(name, found.map(|found| found.map(|at| at.ip()).collect())));
    }
    checks.extend(certificate(as_the_public, &origin(external)).await);
    checks
}

/// What the name leads to here. Split DNS is common, so that private addresses are no proof.
fn of_addresses(name: &str, found: std::io::Result<Vec<IpAddr>>) -> Check {
    const ID: &str = "gitlab.public_address";
    let found = match found {
        Ok(found) if !found.is_empty() => found,
        _ => {
            return Check::skipped(
                ID,
                format!("What {name} leads to is not known here; Factory asks the internet's own name servers"),
            );
        }
    };
    let is_private = |address: &IpAddr| not_public_address(*address).is_some();
    if !found.iter().all(is_private) {
        return Check::ok(ID, format!("{name} leads to a public address"));
    }
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    Check::warning(
        ID,
        format!(
            "{name} leads only to {} here, where Factory cannot come",
            shown.join(", ")
        ),
        "see to it that the internet's name servers give a public address for it, if they do not do so already (split \
         DNS); Factory's support names the addresses that Factory comes from, for a firewall's allow list",
    )
}

/// Factory has the public authorities and no other: neither `ca_file` nor what was added to this machine.
async fn certificate(as_the_public: &dyn GitlabInspect, place: &str) -> Option<Check> {
    const ID: &str = "gitlab.public_certificate";
    match as_the_public.issuer().await {
        Err(error) if error.kind == ErrorKind::Tls => Some(Check::warning(
            ID,
            format!(
                "The certificate at {place} is not one that the public authorities vouch for: {}",
                error.message
            ),
            "Factory trusts only those: give the external URL a certificate of a public authority. If a proxy between here \
             and there puts its own certificate in place of GitLab's, look from outside of it",
        )),
        // That it cannot be reached from here is told by another check.
        Err(_) => None,
        Ok(_) => Some(Check::ok(
            ID,
            format!("The public authorities vouch for the certificate at {place}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::of_addresses;
    use crate::doctor::Status;

    fn status(addresses: &[&str]) -> (Status, String) {
        let found: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let check = of_addresses("gitlab.example.com", Ok(found));
        (check.status, check.message)
    }

    #[test]
    fn one_public_address_suffices_and_private_ones_are_a_warning() {
        for public in [
            &["198.51.100.7"] as &[&str],
            &["10.0.0.7", "198.51.100.7"],
            &["2606:4700::1111"],
            &["fd00::1", "2606:4700::1111"],
        ] {
            assert_eq!(status(public).0, Status::Ok, "{public:?}");
        }
        for private in [
            &["10.1.2.3"] as &[&str],
            &["192.168.0.1", "172.16.0.1"],
            &["127.0.0.1", "::1"],
            &["169.254.1.1"],
            &["100.64.0.1"],
            &["fd00::1", "fe80::1"],
            &["::ffff:10.0.0.1"],
        ] {
            let (found, message) = status(private);
            assert_eq!(found, Status::Warning, "{private:?}");
            assert!(message.contains(private[0]), "{message}");
        }
    }

    #[test]
    fn a_name_that_nobody_here_knows_proves_nothing() {
        let unknown = Err(std::io::Error::other("no such host"));
        assert_eq!(of_addresses("gitlab.example.com", unknown).status, Status::Skipped);
        assert_eq!(status(&[]).0, Status::Skipped);
    }
}
