use super::*;

/// Lifecycle §6a and §6b written once more, by hand and in another form: columns are events in the order of `Event::ALL`.
/// `-` refused; a word is the status after; `d:`/`r:` only developer or reviewer; words joined by `/` depend on circumstances.
const BY_HAND: &str = "
    uploaded     - - - - r:invalid - - - deleted   fetching - - - - deleted uploaded
    fetching     - - - - r:invalid - - - -         - available invalid - fetching deleted fetching/invalid
    available    pending - - - r:invalid - - - deleted   - - - - - deleted -
    invalid      - fetching - - - - - - deleted    - - - - - deleted -
    pending      - - r:approved r:disapproved r:invalid - - - deleted   - pending/approved disapproved - pending deleted pending
    approved     - - - r:disapproved r:invalid deploying - - deleted    - - - - approved deleted -
    disapproved  - - r:approved - - - - - deleted  - - - - - deleted -
    deploying    - - - - - - - - -                 - deployed deployFailed - deploying deploying deploying/deployFailed
    deployed     - - - - - deploying/deployed paused - deleted   - - deployed paused paused deleted -
    deployFailed - - - r:disapproved r:invalid deploying - - deleted    - - - - - deleted -
    paused       - - - r:disapproved r:invalid deploying - deployed deleted   - - - - - deleted -
    deleted      - - - - - - - - -                 - - - - - - -
";

fn all_circumstances() -> Vec<Circumstances> {
    let mut all = Vec::new();
    for phase in [Phase::Security, Phase::Certification, Phase::AwaitingApproval] {
        for bits in 0..16u8 {
            let bit = |n: u8| bits & (1 << n) != 0;
            all.push(Circumstances {
                phase,
                auto_approve: bit(0),
                engine_disabled: bit(1),
                settings_changed: bit(2),
                attempts_left: bit(3),
            });
        }
    }
    all
}

/// Every status × event × actor × circumstances against the hand-written form.
#[test]
fn every_cell() {
    let mut seen = 0;
    for line in BY_HAND.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let status: BuildStatus = words[0].parse().unwrap();
        assert_eq!(words.len(), 17, "{line}");
        for (event, word) in Event::ALL.into_iter().zip(&words[1..]) {
            let (only_reviewer, word) = word.strip_prefix("r:").map_or((false, *word), |rest| (true, rest));
            let allowed: Vec<&str> = word.split('/').filter(|word| *word != "-").collect();
            for actor in [Actor::Developer, Actor::Reviewer, Actor::System] {
                let may = match actor {
                    Actor::System => !event.is_action(),
                    Actor::Reviewer => event.is_action(),
                    Actor::Developer => event.is_action() && !only_reviewer,
                };
                let reached: std::collections::BTreeSet<&str> = all_circumstances()
                    .iter()
                    .filter_map(|now| transition(status, event, actor, now).ok())
                    .map(|rule| rule.to.as_str())
                    .collect();
                let wanted = if may { allowed.iter().copied().collect() } else { std::collections::BTreeSet::new() };
                assert_eq!(reached, wanted, "{status} {event:?} {actor:?}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 12 * 16 * 3);
}

#[test]
fn refusals_say_what_is_missing() {
    let now = Circumstances::default();
    assert_eq!(transition(S::Deleted, E::Delete, Actor::Developer, &now).unwrap_err(), Refusal::NotFound);
    assert_eq!(
        transition(S::Available, E::Deploy, Actor::Developer, &now).unwrap_err().to_string(),
        "deploy is not possible while the build is available"
    );
    assert_eq!(transition(S::Pending, E::Approve, Actor::Developer, &now).unwrap_err(), Refusal::NotAllowed { event: E::Approve });
    let early = transition(S::Pending, E::Approve, Actor::Reviewer, &now).unwrap_err();
    assert!(early.to_string().contains("automatic checks"), "{early}");
    let off = Circumstances { engine_disabled: true, ..now };
    for status in [S::Approved, S::DeployFailed, S::Paused] {
        let refusal = transition(status, E::Deploy, Actor::Developer, &off).unwrap_err();
        assert!(refusal.to_string().contains("enable it first"), "{refusal}");
    }
}

#[test]
fn conditions_choose_the_target() {
    let now = Circumstances::default();
    let to = |status, event, actor, now: &Circumstances| transition(status, event, actor, now).unwrap().to;
    assert_eq!(to(S::Deployed, E::Deploy, Actor::Developer, &now), S::Deployed);
    assert_eq!(to(S::Deployed, E::Deploy, Actor::Developer, &Circumstances { settings_changed: true, ..now }), S::Deploying);
    assert_eq!(to(S::Fetching, E::Lost, Actor::System, &now), S::Fetching);
    assert_eq!(to(S::Fetching, E::Lost, Actor::System, &Circumstances { attempts_left: false, ..now }), S::Invalid);
    let certified = Circumstances { phase: Phase::Certification, ..now };
    assert_eq!(to(S::Pending, E::PhaseOk, Actor::System, &certified), S::Pending);
    assert_eq!(to(S::Pending, E::PhaseOk, Actor::System, &Circumstances { auto_approve: true, ..certified }), S::Approved);
}

#[test]
fn no_two_rules_apply_at_once() {
    for now in all_circumstances() {
        for status in BuildStatus::ALL {
            for event in Event::ALL {
                let n = TRANSITIONS.iter().filter(|r| r.from == status && r.event == event && r.when.holds(&now)).count();
                assert!(n <= 1, "{status} {event:?} {now:?}");
            }
        }
    }
}

#[test]
fn actions_offered() {
    let now = Circumstances::default();
    assert_eq!(valid_actions(S::Available, Actor::Developer, &now), [E::Submit, E::Delete]);
    assert_eq!(valid_actions(S::Fetching, Actor::Developer, &now), []);
    assert_eq!(valid_actions(S::Invalid, Actor::Developer, &now), [E::Upload, E::Delete]);
    assert_eq!(valid_actions(S::Paused, Actor::Reviewer, &now), [E::Disapprove, E::Invalidate, E::Deploy, E::Unpause, E::Delete]);
    assert_eq!(primary_action(S::Available, Actor::Developer, &now), Some(E::Submit));
    assert_eq!(primary_action(S::Pending, Actor::Developer, &now), None);
    let waiting = Circumstances { phase: Phase::AwaitingApproval, ..now };
    assert_eq!(primary_action(S::Pending, Actor::Reviewer, &waiting), Some(E::Approve));
}

#[test]
fn words_round_trip() {
    for status in BuildStatus::ALL {
        assert_eq!(status.as_str().parse(), Ok(status));
        assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
    }
    for event in Event::ALL {
        assert_eq!(event.as_str().parse(), Ok(event));
    }
    for phase in Phase::ALL {
        assert_eq!(phase.as_str().parse(), Ok(phase));
        assert_eq!(serde_json::to_value(phase).unwrap(), phase.as_str());
    }
    assert!("Available".parse::<BuildStatus>().is_err());
}
