//! What misleads: innocent releases near the onset, labels without effect, claims, injected orders.
//!
//! The rule that is not obvious: a disguise changes the evidence and never the truth, so each is
//! only laid over families where the evidence still tells an honest reader what happened.

use serde_json::json;

use super::super::fleet::Platform;
use super::super::stage::Stage;
use super::super::trail::Call;
use super::Disguise;

/// A real release that does no harm.
fn innocent_release(stage: &mut Stage, at: i64) {
    let mut release = stage.like_now(at);
    release.code = true;
    stage.sprinkle(&mut release);
    stage.ship_turned(release, |_| {});
}

/// A release of the same code with the same settings under another label.
fn empty_release(stage: &mut Stage, at: i64) {
    let mut release = stage.like_now(at);
    if stage.fleet.platform == Platform::Ecs {
        // The image stays, so the new revision differs in nothing.
        release.description.clear();
    } else {
        release.description = format!("label {}", stage.random.hex(4));
    }
    stage.ship_turned(release, |_| {});
}

/// A change of `$LATEST` while traffic stays on the published version.
fn unmoved_latest(stage: &mut Stage, at: i64) {
    let actor = stage.trail.person(&mut stage.random);
    let name = stage.fleet.name.clone();
    let request = json!({"functionName": name, "s3Bucket": "release-packages", "s3Key": format!("{name}/{}.zip", stage.random.hex(9)), "publish": false, "dryRun": false});
    let sha = stage.random.digest();
    let response = json!({"functionName": name, "version": "$LATEST", "codeSha256": sha, "environment": {}});
    stage.fleet.unpublished = Some((at, sha));
    stage.trail.record(
        &mut stage.random,
        &actor,
        Call::write(at, "lambda", "UpdateFunctionCode20150331v2", request, response),
    );
}

fn refused_call(stage: &mut Stage, at: i64) {
    let actor = stage.trail.pipeline(&mut stage.random);
    let name = stage.fleet.name.clone();
    let message = format!("User: {} is not authorized to perform this operation on {name}", actor.arn);
    let (service, event, request) = if stage.fleet.platform == Platform::Ecs {
        (
            "ecs",
            "UpdateService",
            json!({"cluster": stage.fleet.cluster, "service": name, "forceNewDeployment": true}),
        )
    } else {
        (
            "lambda",
            "UpdateFunctionCode20150331v2",
            json!({"functionName": name, "s3Bucket": "release-packages", "s3Key": "x.zip"}),
        )
    };
    let mut call = Call::write(at, service, event, request, serde_json::Value::Null);
    call.error = Some(("AccessDenied", &message));
    stage.trail.record(&mut stage.random, &actor, call);
}

fn neighbour_release(stage: &mut Stage, at: i64) {
    let peer = stage.random.next() as usize % stage.peers.len();
    let name = stage.peers[peer].name.clone();
    let actor = stage.trail.pipeline(&mut stage.random);
    if stage.peers[peer].lambda {
        stage.trail.other_function(&mut stage.random, &actor, at, &name);
    } else {
        stage.trail.other_task(&mut stage.random, &actor, at, &name);
    }
}

/// Somebody moves the alias of another stage of the same function.
fn other_alias(stage: &mut Stage, at: i64) {
    let actor = stage.trail.pipeline(&mut stage.random);
    let version = stage.fleet.current().number.to_string();
    let request = json!({"functionName": stage.fleet.name, "name": "staging", "functionVersion": version});
    let response = json!({"name": "staging", "functionVersion": version});
    stage.trail.record(
        &mut stage.random,
        &actor,
        Call::write(at, "lambda", "UpdateAlias20150331", request, response),
    );
}

/// Disguises that come before the act, because a release before the onset must be the older one.
pub fn before(stage: &mut Stage, disguise: Disguise) -> Vec<&'static str> {
    let mut worn = Vec::new();
    let onset = stage.onset;
    let guilty = matches!(disguise, Disguise::Words | Disguise::Beside);
    if disguise == Disguise::Any && stage.random.chance(0.4) {
        let at = onset - stage.random.whole(2, 45) * 60;
        innocent_release(stage, at);
        worn.push("release");
    } else if !guilty && stage.random.chance(0.2) {
        let at = onset - stage.random.whole(2, 25) * 60;
        empty_release(stage, at);
        worn.push("relabel");
    }
    // Two in five, by the clock and not by a draw: all else of an incident stays as it is without.
    if disguise == Disguise::Beside && stage.now % 5 > 2 {
        // Far enough from the guilty one to be a deployment of its own.
        let at = onset - stage.random.whole(4, 45) * 60;
        innocent_release(stage, at);
        worn.push("beside");
    }
    if !guilty && stage.fleet.platform == Platform::Alias && stage.random.chance(0.15) {
        let at = onset - stage.random.whole(1, 15) * 60;
        unmoved_latest(stage, at);
        worn.push("unmoved");
    }
    if !guilty && stage.fleet.platform == Platform::Alias && stage.random.chance(0.1) {
        let at = onset - stage.random.whole(1, 12) * 60;
        other_alias(stage, at);
        worn.push("staging");
    }
    if stage.random.chance(0.12) {
        let at = onset - stage.random.whole(1, 12) * 60;
        refused_call(stage, at);
        worn.push("refused");
    }
    if stage.random.chance(0.3) {
        let at = onset - stage.random.whole(1, 20) * 60;
        neighbour_release(stage, at);
        worn.push("neighbour");
    }
    worn
}

/// Disguises that come after it.
pub fn after(stage: &mut Stage, disguise: Disguise) -> Vec<&'static str> {
    let mut worn = Vec::new();
    let room = stage.now - stage.onset;
    if disguise == Disguise::Any && room > 600 && stage.random.chance(0.15) {
        let at = stage.onset + stage.random.whole(240, room - 240);
        innocent_release(stage, at);
        worn.push("afterwards");
    }
    if stage.random.chance(0.15) {
        stage.claims = Some(stage.onset - stage.random.whole(3, 20) * 60);
        worn.push("claims");
    }
    if stage.random.chance(0.12) {
        stage.injected = true;
        worn.push("injected");
    }
    worn
}
