//! A record made anew under the assisted driver, which shows of Factory what the record says.

use crate::model::{ApplicationId, Evidence, FactorySource, Known, RecordedState, SecretCheck};
use crate::planner::fixture::{Case, FINGERPRINT, converged};
use crate::planner::{Presumed, presume, rebuild};

use super::{AssistedFactory, FactoryRead as _};

/// As the assisted driver shows Factory with this record.
async fn assisted(mut case: Case) -> Case {
    let factory = AssistedFactory::new(case.recorded.clone());
    case.observed.factory.source = FactorySource::Attested;
    case.observed.factory.integration = factory.integration().await.unwrap();
    case.observed.factory.repositories = factory.repositories().await.unwrap();
    case
}

fn evidence(rows: &[u64]) -> Evidence {
    Evidence {
        authorized: rows.iter().map(|row| (ApplicationId(*row), None)).collect(),
    }
}

#[tokio::test]
async fn a_secret_that_works_is_not_renewed_because_the_record_is_gone() {
    for (listed, expected) in [(vec![1], Presumed::Authorization), (vec![2], Presumed::Connection)] {
        let mut case = assisted(converged().forget()).await;
        case.observed.gitlab.secret = SecretCheck::NotChecked;
        let renews = case.plan();
        assert!(
            renews
                .changes
                .iter()
                .any(|change| change.address.to_string() == "gitlab.application"),
            "without what is presumed the secret would be renewed: {renews:#?}"
        );
        let evidence = evidence(&listed);
        let mut record = case.recorded.clone();
        let presumed = presume(&case.desired, &case.observed, &mut record, Some(&evidence));
        assert_eq!(presumed, expected);
        case.recorded = record;
        let mut case = assisted(case).await;
        case.observed.gitlab.evidence = Known::Known(evidence);
        let plan = case.plan();
        case.recorded = rebuild(&case.desired, &case.observed, &case.recorded, &plan);
        let left: Vec<String> = case.plan().changes.iter().map(|one| one.address.to_string()).collect();
        assert!(!left.contains(&"gitlab.application".to_owned()), "{left:?}");
        assert!(!left.contains(&"factory.connection".to_owned()), "{left:?}");
        let due = left.contains(&"factory.authorization".to_owned());
        assert_eq!(due, expected == Presumed::Connection, "{left:?}");
    }
}

#[tokio::test]
async fn a_secret_at_hand_is_handed_over_again_unless_there_is_evidence() {
    let mut case = assisted(converged().forget()).await;
    case.observed.gitlab.secret = SecretCheck::Accepted {
        fingerprint: FINGERPRINT.to_owned(),
    };
    let mut record = RecordedState::empty("lineage", "0");
    let presumed = presume(&case.desired, &case.observed, &mut record, None);
    assert_eq!(presumed, Presumed::Nothing);
    assert!(record.is_empty());
    assert!(
        !case
            .plan()
            .changes
            .iter()
            .any(|change| change.address.to_string() == "gitlab.application" && !change.operations.is_empty()),
        "and nothing is renewed for it"
    );
}
