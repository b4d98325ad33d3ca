//! What kind of change a call is, by its service and its verb.
//!
//! The rule that is not obvious: CloudTrail calls much mutating that changes nothing that a service
//! could notice: log streams, heartbeats of agents, data, sessions. Those are noise; alarms and log
//! settings are changes, but of telemetry only.

use super::call::Call;
use crate::domain::change::ChangeKind;

/// Calls that CloudTrail records as mutating and that change nothing which a service could notice.
pub(super) fn is_noise(call: &Call<'_>) -> bool {
    match call.service {
        "sts" | "signin" | "sso" | "sso-oauth" | "sso-directory" | "xray" | "ssmmessages" | "ec2messages"
        | "cloudshell" | "notifications" | "q" | "health" | "support" | "tagging" => true,
        "ssm" => matches!(
            call.verb,
            "UpdateInstanceInformation"
                | "UpdateInstanceAssociationStatus"
                | "PutInventory"
                | "PutComplianceItems"
                | "StartSession"
                | "TerminateSession"
                | "ResumeSession"
                | "RegisterManagedInstance"
        ),
        "logs" => matches!(
            call.verb,
            "CreateLogStream"
                | "PutLogEvents"
                | "StartQuery"
                | "StopQuery"
                | "CreateExportTask"
                | "StartLiveTail"
        ),
        "kms" => {
            call.verb.starts_with("GenerateDataKey")
                || matches!(
                    call.verb,
                    "Decrypt"
                        | "Encrypt"
                        | "ReEncrypt"
                        | "CreateGrant"
                        | "RetireGrant"
                        | "Sign"
                        | "Verify"
                        | "GenerateMac"
                )
        }
        "lambda" => call.verb.starts_with("Invoke"),
        "ecr" => matches!(call.verb, "InitiateLayerUpload" | "UploadLayerPart" | "CompleteLayerUpload"),
        "secretsmanager" => call.verb.ends_with("SecretVersionDelete"),
        "events" | "sns" | "sqs" | "kinesis" | "firehose" | "states" | "dynamodb" | "s3" => matches!(
            call.verb,
            "PutEvents"
                | "Publish"
                | "PublishBatch"
                | "SendMessage"
                | "SendMessageBatch"
                | "DeleteMessage"
                | "ReceiveMessage"
                | "PutRecord"
                | "PutRecords"
                | "PutRecordBatch"
                | "StartExecution"
                | "StartSyncExecution"
                | "SendTaskSuccess"
                | "SendTaskFailure"
                | "SendTaskHeartbeat"
                | "PutItem"
                | "UpdateItem"
                | "DeleteItem"
                | "BatchWriteItem"
                | "TransactWriteItems"
                | "PutObject"
                | "DeleteObject"
                | "DeleteObjects"
                | "CopyObject"
                | "CreateMultipartUpload"
                | "CompleteMultipartUpload"
                | "UploadPart"
                | "AbortMultipartUpload"
        ),
        "ecs" => matches!(
            call.verb,
            "SubmitTaskStateChange"
                | "SubmitContainerStateChange"
                | "Poll"
                | "DiscoverPollEndpoint"
                | "RunTask"
                | "StartTask"
                | "ExecuteCommand"
        ),
        _ => false,
    }
}

pub(super) fn kind(call: &Call<'_>) -> ChangeKind {
    let has = |parts: &[&str]| parts.iter().any(|part| call.verb.contains(part));
    match call.service {
        "lambda" if has(&["Permission"]) => ChangeKind::IamPolicy,
        "lambda" if has(&["Alias"]) => ChangeKind::LambdaAlias,
        "lambda" if has(&["Concurrency"]) => ChangeKind::LambdaConcurrency,
        "lambda" if has(&["FunctionCode", "DeleteFunction", "CreateFunction", "Layer"]) => {
            ChangeKind::LambdaCode
        }
        "lambda" => ChangeKind::LambdaConfig,
        "ecs" => ChangeKind::EcsDeployment,
        "iam" | "organizations" | "access-analyzer" | "rolesanywhere" | "cognito-idp" | "ram" => {
            ChangeKind::IamPolicy
        }
        "kms" if has(&["Policy", "Grant"]) => ChangeKind::IamPolicy,
        "s3" | "sqs" | "sns" | "ecr" | "secretsmanager" | "elasticfilesystem" | "es" | "backup"
        | "events" | "glue"
            if has(&["Policy", "Acl", "Permission", "PublicAccessBlock"])
                && !has(&["LifecyclePolicy", "ScalingPolicy"]) =>
        {
            ChangeKind::IamPolicy
        }
        "secretsmanager" | "kms" => ChangeKind::Secret,
        "ec2" if has(&["SecurityGroup"]) => ChangeKind::SecurityGroup,
        "ec2"
            if has(&[
                "Route",
                "NetworkAcl",
                "Gateway",
                "Vpc",
                "Subnet",
                "DhcpOptions",
                "Address",
                "NetworkInterface",
                "Peering",
                "PrefixList",
            ]) =>
        {
            ChangeKind::Network
        }
        "elasticloadbalancing"
        | "route53"
        | "route53resolver"
        | "wafv2"
        | "waf"
        | "waf-regional"
        | "cloudfront"
        | "network-firewall"
        | "globalaccelerator"
        | "vpc-lattice"
        | "servicediscovery"
        | "directconnect"
        | "shield" => ChangeKind::Network,
        "rds" | "elasticache" | "memorydb" | "redshift" | "docdb" | "neptune" | "dynamodb" | "dax" => {
            ChangeKind::DatabaseParameter
        }
        "cloudformation" => ChangeKind::Stack,
        "scheduler" => ChangeKind::Schedule,
        "events" if has(&["Rule", "Target"]) => ChangeKind::Schedule,
        _ => ChangeKind::Other,
    }
}

/// Tags, descriptions, favourites: what tells people something and steers nothing.
pub(super) fn only_labels(call: &Call<'_>) -> bool {
    let verb = call.verb;
    verb.starts_with("Tag")
        || verb.starts_with("Untag")
        || verb.starts_with("AddTags")
        || verb.starts_with("RemoveTags")
        || verb.starts_with("CreateTags")
        || verb.starts_with("DeleteTags")
        || verb.ends_with("Tagging")
        || verb.ends_with("TagsToResource")
        || verb.ends_with("TagsFromResource")
        || verb.starts_with("UpdateSecurityGroupRuleDescriptions")
        || verb == "ChangeTagsForResource"
}

/// Why a call that succeeded cannot have caused anything by itself.
pub(super) fn without_effect(call: &Call<'_>) -> Option<&'static str> {
    let starts = |parts: &[&str]| parts.iter().any(|part| call.verb.starts_with(part));
    match call.service {
        "monitoring" | "logs" | "cloudtrail" | "synthetics" | "guardduty" | "config" | "securityhub"
        | "inspector2" | "budgets" | "ce" | "cur" | "evidently" | "rum" | "oam" | "internetmonitor"
        | "devops-guru" | "aps" => {
            (call.service != "evidently").then_some("it changes what is observed, not what runs")
        }
        "cloudformation" if call.verb == "CreateChangeSet" || call.verb == "DeleteChangeSet" => {
            Some("a change set was prepared; only executing it changes anything")
        }
        "rds"
            if starts(&[
                "CreateDBSnapshot",
                "CreateDBClusterSnapshot",
                "DeleteDBSnapshot",
                "DeleteDBClusterSnapshot",
                "CopyDB",
                "ModifyDBSnapshot",
                "ModifyDBClusterSnapshot",
            ]) =>
        {
            Some("a snapshot is a copy; the database itself stays as it is")
        }
        "ec2"
            if starts(&[
                "CreateSnapshot",
                "DeleteSnapshot",
                "CreateImage",
                "ModifySnapshot",
                "ModifyImage",
                "SharedSnapshot",
            ]) =>
        {
            Some("a snapshot or image is a copy; what runs stays as it is")
        }
        "codepipeline" | "codebuild" if starts(&["Start", "Put", "Retry"]) => {
            Some("it starts a pipeline; what the pipeline does is recorded by itself")
        }
        "lambda" if starts(&["PublishLayerVersion"]) => {
            Some("a layer's version acts only once a function is given it")
        }
        "ecr" if starts(&["PutImage", "CreateRepository", "BatchDeleteImage"]) => {
            Some("an image acts only once something is deployed from it")
        }
        "ecs" if starts(&["DeregisterTaskDefinition", "DeleteTaskDefinitions"]) => {
            Some("running tasks keep their revision")
        }
        "iam"
            if starts(&[
                "CreateRole",
                "CreateUser",
                "CreatePolicy",
                "CreateGroup",
                "CreateInstanceProfile",
                "CreateAccessKey",
                "CreateLoginProfile",
            ]) && !starts(&["CreatePolicyVersion"]) =>
        {
            Some("what was created is not in use yet")
        }
        _ => None,
    }
}

/// Who undoes what the bot does not.
pub(super) fn by_hand(kind: &ChangeKind) -> &'static str {
    match kind {
        ChangeKind::IamPolicy => {
            "permissions are not put back by a bot: the policy's earlier text is not in the record"
        }
        ChangeKind::SecurityGroup | ChangeKind::Network => "network rules are not put back by a bot",
        ChangeKind::Secret => "a secret's earlier value is known to nobody but the secret store",
        ChangeKind::DatabaseParameter => {
            "a database's earlier setting is not in the record, and may need a restart"
        }
        ChangeKind::Stack => "a stack is rolled back by its own tool",
        _ => "there is no safe way to put it back automatically",
    }
}
