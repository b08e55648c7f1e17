//! The way that requests take to a server: proxy, addresses, protocol, and what both certificates say of themselves. Told
//! after the questions of that side, so that it is the way that they took.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Check;
use crate::http::{Client, ErrorKind, Journey, Terms};

/// How long before its end a certificate is warned about.
const WARNING_DAYS: i64 = 21;

/// Whether a webhook's server answers, and the way there. Nothing is posted: its front page is asked for, whatever it says.
pub async fn webhook(client: &Client, now: Timestamp) -> Vec<Check> {
    const ID: &str = "notify.reachable";
    let answers = match client.send(client.get(&[])).await {
        Err(error) if !matches!(error.kind, ErrorKind::TooLarge | ErrorKind::RateLimited) => Check::failed(ID, &error),
        Ok(_) | Err(_) => {
            let place = client.journey().origin;
            Check::ok(ID, format!("A server answers at {place}; nothing was posted there"))
        }
    };
    let mut checks = vec![answers];
    checks.extend(check("notify", client, now).await);
    checks
}

/// The way of a client, under the names of its section.
pub(super) async fn check(section: &str, client: &Client, now: Timestamp) -> Vec<Check> {
    let journey = client.journey();
    let (host, port) = (&journey.next.0, journey.next.1);
    let addresses = match host.parse() {
        Ok(address) => Ok(BTreeSet::from([address])),
        Err(_) => tokio::net::lookup_host((host.as_str(), port))
            .await
            .map(|found| found.map(|at| at.ip().to_canonical()).collect()),
    };
    let mut checks = vec![passage(section, &journey, addresses.ok())];
    checks.extend(
        journey
            .certificate
            .as_ref()
            .map(|terms| server(section, &journey, terms, now)),
    );
    checks.extend(client_certificate(section, &journey, now));
    checks
}

fn passage(section: &str, journey: &Journey, addresses: Option<BTreeSet<IpAddr>>) -> Check {
    let id = format!("{section}.way");
    let host = &journey.next.0;
    let shown = |addresses: &BTreeSet<IpAddr>| {
        let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        texts.join(", ")
    };
    let known = addresses.filter(|addresses| !addresses.is_empty());
    let place = match (journey.address, known) {
        (Some(used), Some(known)) if known.len() > 1 && known.contains(&used) => {
            format!("{used}, one of {} addresses of {host}: {}", known.len(), shown(&known))
        }
        (Some(used), _) if used.to_string() == *host => used.to_string(),
        (Some(used), _) => format!("{host} at {used}"),
        (None, Some(known)) if shown(&known) == *host => host.clone(),
        (None, Some(known)) => format!("{host} at {}", shown(&known)),
        (None, None) => format!("{host}, whose address is not known here"),
    };
    let way = format!("Requests to {} go {}, to {place}", journey.origin, journey.passage);
    match &journey.protocol {
        Some(protocol) => Check::ok(&id, format!("{way}, by {protocol}")),
        None => Check::skipped(&id, format!("{way}; no answer came that way")),
    }
}

fn server(section: &str, journey: &Journey, terms: &Terms, now: Timestamp) -> Check {
    let id = format!("{section}.certificate");
    let what = format!("The certificate at {} is issued by {}", journey.origin, terms.issuer);
    until(
        &id,
        &what,
        terms,
        now,
        "see to it that the server gets a new certificate in time",
        false,
    )
}

fn client_certificate(section: &str, journey: &Journey, now: Timestamp) -> Option<Check> {
    let id = format!("{section}.client_certificate");
    let Some((file, terms)) = &journey.client_certificate else {
        // Whoever wants one without fail has refused the connection.
        return journey
            .asked_for_certificate
            .then(|| Check::ok(&id, "A client certificate was asked for, and none is configured"));
    };
    let asked = match (journey.asked_for_certificate, journey.protocol.is_some()) {
        (true, _) => "it was asked for",
        (false, true) => "nobody asked for it",
        (false, false) => "whether it is asked for is not known",
    };
    let terms = terms.as_ref()?;
    let what = format!(
        "The client certificate in {} is issued by {}, and {asked}",
        file.display(),
        terms.issuer
    );
    Some(until(
        &id,
        &what,
        terms,
        now,
        &format!("get a new one in time, and put it where {section}.client_cert_file and client_key_file are"),
        true,
    ))
}

/// Until when a certificate is valid. Of the server's, another check says whether it is.
fn until(id: &str, what: &str, terms: &Terms, now: Timestamp, fix: &str, is_ours: bool) -> Check {
    let day = terms.ends.to_zoned(TimeZone::UTC).date();
    let seconds = terms.ends.as_second() - now.as_second();
    let message = |when: &str| format!("{what}; it is valid until {day}{when}");
    match seconds.div_euclid(24 * 60 * 60) {
        ..0 if is_ours => Check::failure(id, message(", which is past"), fix),
        ..0 => Check::warning(id, message(", which is past"), fix),
        days @ 0..WARNING_DAYS => Check::warning(id, message(&format!(", in {days} days")), fix),
        _ => Check::ok(id, message("")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::IpAddr;

    use super::{client_certificate, passage, server};
    use crate::doctor::{Check, Status};
    use crate::http::{Journey, Terms};
    use crate::secrets::RemoteText;

    fn journey() -> Journey {
        Journey {
            passage: "directly (no proxy is named)".to_owned(),
            next: ("gitlab.example.com".to_owned(), 443),
            origin: "https://gitlab.example.com".to_owned(),
            address: Some("10.1.2.3".parse().unwrap()),
            protocol: Some("HTTP/2 over TLS 1.3".to_owned()),
            certificate: None,
            client_certificate: None,
            asked_for_certificate: false,
        }
    }

    fn terms(ends: &str) -> Terms {
        Terms {
            issuer: RemoteText::new("Issuing CA 2"),
            ends: ends.parse().unwrap(),
        }
    }

    fn addresses(list: &[&str]) -> BTreeSet<IpAddr> {
        list.iter().map(|one| one.parse().unwrap()).collect()
    }

    #[test]
    fn the_address_that_was_used_is_told_among_those_of_the_name() {
        let told = |journey: &Journey, list| passage("gitlab", journey, list).message;
        assert_eq!(
            told(&journey(), Some(addresses(&["10.1.2.3"]))),
            "Requests to https://gitlab.example.com go directly (no proxy is named), to gitlab.example.com at 10.1.2.3, by \
             HTTP/2 over TLS 1.3."
        );
        let several = told(&journey(), Some(addresses(&["10.1.2.4", "10.1.2.3"])));
        assert!(
            several.contains("10.1.2.3, one of 2 addresses of gitlab.example.com: 10.1.2.3, 10.1.2.4"),
            "{several}"
        );
        let unreached = Journey {
            address: None,
            protocol: None,
            ..journey()
        };
        let check = passage("gitlab", &unreached, Some(addresses(&["10.1.2.4"])));
        assert_eq!(check.status, Status::Skipped);
        assert!(
            check.message.contains("gitlab.example.com at 10.1.2.4; no answer"),
            "{}",
            check.message
        );
        assert!(told(&unreached, None).contains("whose address is not known here"));
    }

    #[test]
    fn a_certificate_is_warned_about_before_it_ends() {
        let now = "2027-01-01T12:00:00Z".parse().unwrap();
        let of = |ends: &str| server("gitlab", &journey(), &terms(ends), now);
        let kinds = |check: Check| (check.status, check.message);
        assert_eq!(of("2027-06-01T00:00:00Z").status, Status::Ok);
        let (status, message) = kinds(of("2027-01-10T00:00:00Z"));
        assert_eq!(status, Status::Warning);
        assert!(
            message.ends_with("issued by Issuing CA 2; it is valid until 2027-01-10, in 8 days."),
            "{message}"
        );
        assert_eq!(of("2026-12-31T00:00:00Z").status, Status::Warning);
        let mine = |ends: &str, asked| {
            let with = Journey {
                client_certificate: Some(("client.pem".into(), Some(terms(ends)))),
                asked_for_certificate: asked,
                ..journey()
            };
            kinds(client_certificate("gitlab", &with, now).unwrap())
        };
        assert_eq!(mine("2026-12-31T00:00:00Z", true).0, Status::Failure);
        let (status, message) = mine("2027-12-31T00:00:00Z", false);
        assert_eq!(status, Status::Ok);
        assert!(message.contains("nobody asked for it"), "{message}");
        assert!(client_certificate("gitlab", &journey(), now).is_none());
    }
}
