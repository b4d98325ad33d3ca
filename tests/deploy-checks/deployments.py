"""Compares the stacks of deploy/cloudformation with the modules of deploy/terraform: each property of each resource.

Both are brought into CloudFormation's words: what Terraform calls otherwise stands in the tables here, and what only one of
them can say stands here with its reason. Whatever is in no table is a difference.
"""

import json
import pathlib
import re

from cfnlint.decode import cfn_yaml

from terraform import Module, camel

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"

# Each resource of a stack, and what it is in Terraform: there some are written as several, one as an attribute.
PAIRS = {
    "commander": {
        "SlackSecret": "aws_secretsmanager_secret.slack aws_secretsmanager_secret_version.slack",
        "ReadRole": "aws_iam_role.read aws_iam_role_policy.read",
        "WriteBoundary": "aws_iam_policy.write_boundary",
        "WriteRole": "aws_iam_role.write aws_iam_role_policy_attachment.write",
        "InstanceRole": "aws_iam_role.instance aws_iam_role_policy_attachment.session_manager",
        "InstancePolicy": "aws_iam_role_policy.instance",
        "FurtherRolesPolicy": "aws_iam_role_policy.further_roles",
        "InstanceProfile": "aws_iam_instance_profile.instance",
        "DataVolume": "aws_ebs_volume.data",
        "SecurityGroup": "aws_security_group.instance",
        "LaunchTemplate": "aws_launch_template.instance",
        "Group": "aws_autoscaling_group.instance",
        "Alarms": "aws_sns_topic.alarms",
        "AlarmsPolicy": "aws_sns_topic_policy.alarms",
        "AlarmSubscription": "aws_sns_topic_subscription.alarms",
        "ChangesRule": "aws_cloudwatch_event_rule.changes aws_cloudwatch_event_target.changes",
        "DeploymentsRule": "aws_cloudwatch_event_rule.deployments aws_cloudwatch_event_target.deployments",
    },
    "demo": {
        "LogGroup": "aws_cloudwatch_log_group.function",
        "FunctionRole": "aws_iam_role.function aws_iam_role_policy.log",
        "Function": "aws_lambda_function.checkout",
        "Version": "aws_lambda_function.checkout.version",
        "Alias": "aws_lambda_alias.live",
        "Url": "aws_lambda_function_url.live",
        "Shoppers": "aws_cloudwatch_event_rule.shoppers aws_cloudwatch_event_target.shoppers",
        "ShoppersPermission": "aws_lambda_permission.shoppers",
        "Alarm": "aws_cloudwatch_metric_alarm.errors",
    },
}
KINDS = {
    "aws_secretsmanager_secret": "AWS::SecretsManager::Secret",
    "aws_iam_role": "AWS::IAM::Role",
    "aws_iam_policy": "AWS::IAM::ManagedPolicy",
    "aws_iam_role_policy": "AWS::IAM::Policy",
    "aws_iam_instance_profile": "AWS::IAM::InstanceProfile",
    "aws_ebs_volume": "AWS::EC2::Volume",
    "aws_security_group": "AWS::EC2::SecurityGroup",
    "aws_launch_template": "AWS::EC2::LaunchTemplate",
    "aws_autoscaling_group": "AWS::AutoScaling::AutoScalingGroup",
    "aws_sns_topic": "AWS::SNS::Topic",
    "aws_sns_topic_policy": "AWS::SNS::TopicPolicy",
    "aws_sns_topic_subscription": "AWS::SNS::Subscription",
    "aws_cloudwatch_event_rule": "AWS::Events::Rule",
    "aws_cloudwatch_log_group": "AWS::Logs::LogGroup",
    "aws_lambda_function": "AWS::Lambda::Function",
    "aws_lambda_alias": "AWS::Lambda::Alias",
    "aws_lambda_function_url": "AWS::Lambda::Url",
    "aws_lambda_permission": "AWS::Lambda::Permission",
    "aws_cloudwatch_metric_alarm": "AWS::CloudWatch::Alarm",
}
# Parameters that the two cannot call the same: CloudFormation takes an image by a parameter's type, and an archive from a
# bucket only.
PARAMETERS = {"ImageId": "ImageParameter", "CodeBucket": "CodeArchive", "CodeKey": "CodeArchive"}
# Attributes whose names in CloudFormation are others than theirs in capitals.
RENAMED = {
    "aws_iam_role": {"assume_role_policy": "AssumeRolePolicyDocument"},
    "aws_iam_policy": {"policy": "PolicyDocument"},
    "aws_iam_role_policy": {"name": "PolicyName", "policy": "PolicyDocument", "role": "Roles"},
    "aws_iam_instance_profile": {"role": "Roles"},
    "aws_ebs_volume": {"type": "VolumeType", "final_snapshot": "DeletionPolicy"},
    "aws_security_group": {
        "description": "GroupDescription",
        "egress": "SecurityGroupEgress",
        "egress.protocol": "IpProtocol",
        "egress.cidr_blocks": "CidrIp",
    },
    "aws_launch_template": {"vpc_security_group_ids": "SecurityGroupIds"},
    "aws_autoscaling_group": {
        "vpc_zone_identifier": "VPCZoneIdentifier",
        "launch_template.id": "LaunchTemplateId",
        "instance_refresh": "UpdatePolicy",
    },
    "aws_sns_topic_policy": {"arn": "Topics", "policy": "PolicyDocument"},
    "aws_cloudwatch_log_group": {"name": "LogGroupName"},
    "aws_lambda_function": {"filename": "Code"},
    "aws_lambda_function_url": {"authorization_type": "AuthType", "function_name": "TargetFunctionArn"},
    "aws_cloudwatch_metric_alarm": {"ok_actions": "OKActions"},
}
# What Terraform alone says, and why CloudFormation need not.
TERRAFORM_ALONE = {
    "name_prefix": "CloudFormation makes names up by itself",
    "count": "a condition of the resource, which is looked at by itself",
    "lifecycle": "CloudFormation never looks at a secret's value again",
    "version_stages": "the same",
    "update_default_version": "the group takes the newest version in both",
    "source_code_hash": "another key of the bucket says so in CloudFormation",
    "publish": "looked at as the stack's resource Version",
}
# What both say where one of them says nothing.
DEFAULTS = {"LogFormat": "Text", "State": "ENABLED", "DeletionPolicy": "Delete"}
# What the stack alone says, and why Terraform need not.
STACK_ALONE = {
    ("SlackSecret", "DeletionPolicy"): "a secret that Terraform deletes can be restored for 30 days",
    ("Version", "Description"): "makes CloudFormation publish another version, which Terraform does by itself",
}
MAPS = {"tags", "variables", "dimensions"}
# The same, said in two ways that no rule brings together.
ONE_AT_A_TIME = {
    "stack": {"AutoScalingRollingUpdate": {"MinInstancesInService": "0", "MaxBatchSize": "1"}},
    "module": {"Strategy": "Rolling", "Preferences": {"MinHealthyPercentage": "0"}},
}
# Parameters under which both are compared: all that conditions and tables choose between.
CASES = {
    "commander": [{}, {"AlarmEndpoint": "", "FurtherRoleArns": []}],
    "demo": [
        {"FaultScenario": name}
        for name in ("normal", "db_pool_exhaustion", "deployment_config_bug", "memory_leak", "cascading_failure")
    ],
}


def normal(value):
    """One form for what the two formats leave open: single values and lists of one, the order of words, figures and truths
    as text, and lists of pairs for maps."""
    if isinstance(value, dict):
        if set(value) == {"S3Bucket", "S3Key"}:
            return "{CodeArchive}"
        return {key: normal(one) for key, one in value.items() if value[key] is not None}
    if isinstance(value, list):
        for key, holds in (("Key", "Value"), ("Name", "Value")):
            if value and all(isinstance(one, dict) and set(one) == {key, holds} for one in value):
                return {one[key]: normal(one[holds]) for one in value}
        items = [normal(one) for one in value]
        if all(isinstance(one, str) for one in items):
            items.sort()
        return items[0] if len(items) == 1 else items
    if isinstance(value, bool):
        return str(value).lower()
    volume = r"arn:{AWS::Partition}:ec2:{AWS::Region}:{AWS::AccountId}:volume/({\w+})"
    return re.sub(volume, r"\1", str(value))


def without_defaults(value):
    if isinstance(value, dict):
        return {key: without_defaults(one) for key, one in value.items() if DEFAULTS.get(key) != one}
    return [without_defaults(one) for one in value] if isinstance(value, list) else value


class Stack:
    def __init__(self, file):
        self.body = cfn_yaml.load(str(file))
        self.given = {}

    def value(self, said):
        if isinstance(said, list):
            return [self.value(one) for one in said]
        if not isinstance(said, dict):
            return said
        if len(said) == 1:
            ((name, inner),) = said.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self.function(name, inner)
        return {key: self.value(one) for key, one in said.items()}

    def function(self, name, said):
        if name == "Ref":
            return self.referred(said)
        if name == "Fn::GetAtt":
            # Of a log group CloudFormation returns the ARN of its streams.
            return "{LogGroup}:*" if list(said) == ["LogGroup", "Arn"] else f"{{{said[0]}}}"
        if name == "Fn::Sub":
            return re.sub(r"\$\{([\w:]+)\}", lambda found: str(self.referred(found.group(1))), said)
        if name == "Fn::If":
            return self.value(said[1 if self.holds(said[0]) else 2])
        if name == "Fn::Join":
            return said[0].join(self.value(said[1]))
        if name == "Fn::Equals":
            return self.value(said[0]) == self.value(said[1])
        if name == "Fn::Not":
            return not self.value(said[0])
        if name == "Fn::Base64":
            return self.value(said)
        raise KeyError(name)

    def referred(self, name):
        if name == "AWS::NoValue":
            return None
        return self.given.get(name, f"{{{PARAMETERS.get(name, name)}}}")

    def holds(self, condition):
        return self.value(self.body["Conditions"][condition])

    def resource(self, name):
        """Its properties, with what it says beside them; `None` where its condition does not hold."""
        said = self.body["Resources"][name]
        if "Condition" in said and not self.holds(said["Condition"]):
            return None
        properties = self.value(said.get("Properties", {}))
        if kept := said.get("DeletionPolicy"):
            properties["DeletionPolicy"] = kept
        if updated := said.get("UpdatePolicy"):
            properties["UpdatePolicy"] = updated
        if secret := properties.pop("GenerateSecretString", None):
            properties["SecretString"] = generated(secret)
        for target in properties.get("Targets", []):
            target.pop("Id")
            if "Input" in target:
                target["Input"] = json.loads(target["Input"])
        properties = normal(properties)
        if properties.get("UpdatePolicy") == ONE_AT_A_TIME["stack"]:
            properties["UpdatePolicy"] = "one at a time"
        return {key: one for key, one in without_defaults(properties).items() if (name, key) not in STACK_ALONE}


def generated(secret):
    """The value that CloudFormation makes, as Terraform writes it."""
    secret = dict(secret)
    known = json.loads(secret.pop("SecretStringTemplate"))
    return {**known, secret.pop("GenerateStringKey"): secret}


def shaped(module, kind, body):
    """A resource of Terraform in CloudFormation's words."""

    def renamed(body, inside=""):
        shape = {}
        for key, said in body.items():
            if key in TERRAFORM_ALONE:
                continue
            name = RENAMED.get(kind, {}).get(inside + key, camel(key))
            if key in MAPS or not is_block(said):
                shape[name] = module.value(said)
            else:
                shape[name] = [renamed(one, f"{key}.") for one in said]
        return shape

    shape = renamed(body)
    if qualifier := shape.pop("Qualifier", None):
        # CloudFormation names the alias alone.
        shape["TargetFunctionArn" if "TargetFunctionArn" in shape else "FunctionName"] = qualifier
    if kind == "aws_ebs_volume" and shape.get("DeletionPolicy") is True:
        shape["DeletionPolicy"] = "Snapshot"
    if kind == "aws_launch_template":
        shape = {"LaunchTemplateData": shape}
    return normal(shape)


def is_block(said):
    return isinstance(said, list) and bool(said) and all(isinstance(one, dict) for one in said)


# What Terraform writes as resources of their own and CloudFormation inside of another one: by what attribute they say of
# which, and what they are there.
INSIDE = {
    "aws_iam_role_policy": ("Roles", lambda said: ("Policies", said)),
    "aws_iam_role_policy_attachment": ("Role", lambda said: ("ManagedPolicyArns", said["PolicyArn"])),
    "aws_cloudwatch_event_target": ("Rule", lambda said: ("Targets", said)),
    "aws_secretsmanager_secret_version": ("SecretId", lambda said: ("SecretString", said["SecretString"])),
}


def in_module(module, name, addresses):
    """The resource that a stack calls `name`, in its words; `None` where it is not made."""
    first, *others = addresses.split()
    if first.count(".") == 2:
        owner = module.resources[first.rpartition(".")[0]]
        return {"FunctionName": f"{{{module.names[first.rpartition('.')[0]]}}}"} if owner.get("publish") is True else None
    body = module.resources[first]
    if "count" in body and not module.value(body["count"]):
        return None
    shape = shaped(module, first.partition(".")[0], body)
    for other in others:
        kind = other.partition(".")[0]
        said = shaped(module, kind, module.resources[other])
        link, inside = INSIDE[kind]
        if (of := said.pop(link)) != f"{{{name}}}":
            shape[f"{other} belongs to"] = of
        key, value = inside(said)
        shape[key] = value
    if shape.get("UpdatePolicy") == ONE_AT_A_TIME["module"]:
        shape["UpdatePolicy"] = "one at a time"
    return without_defaults(shape)


def differences(path, one, other):
    if isinstance(one, dict) and isinstance(other, dict):
        return [said for key in sorted(set(one) | set(other)) for said in differences(f"{path}.{key}", one.get(key), other.get(key))]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [said for at, both in enumerate(zip(one, other)) for said in differences(f"{path}[{at}]", *both)]
    return [] if one == other else [f"{path}: {one} and {other}"]


def compare(name, deploy=DEPLOY):
    """How the stack and the module of one name differ: nothing, where both make the same."""
    pairs = PAIRS[name]
    owners = {address: logical for logical, addresses in pairs.items() for address in addresses.split()}
    stack, module = Stack(deploy / "cloudformation" / f"{name}.yaml"), Module(deploy / "terraform" / name, owners)
    found = [f"{word} is in one of them only" for word in sorted(set(stack.body["Resources"]) ^ set(pairs))]
    declared = {address for address in owners if address.count(".") == 1}
    found += [f"{word} is in one of them only" for word in sorted(set(module.resources) ^ declared)]
    if found:
        return found
    for logical, addresses in pairs.items():
        kind = KINDS.get(addresses.partition(".")[0])
        if addresses.count(".") == 1 and stack.body["Resources"][logical]["Type"] != kind:
            found.append(f"{logical}: {stack.body['Resources'][logical]['Type']} and {kind}")
    for given in CASES[name]:
        stack.given = given
        module.given = {re.sub(r"(?<!^)(?=[A-Z])", "_", key).lower(): value for key, value in given.items()}
        for logical, addresses in pairs.items():
            found += differences(logical, stack.resource(logical), in_module(module, logical, addresses))
        outputs = {key: normal(stack.value(one["Value"])) for key, one in stack.body["Outputs"].items()}
        found += differences("outputs", outputs, {camel(key): normal(module.value(one["value"])) for key, one in module.outputs.items()})
    asked = {PARAMETERS.get(key, key): normal(one["Default"]) for key, one in stack.body["Parameters"].items() if "Default" in one}
    asked = {PARAMETERS.get(key, key): None for key in stack.body["Parameters"]} | asked
    ours = {camel(key): normal(module.value(one["default"])) if "default" in one else None for key, one in module.variables.items()}
    for key, one in stack.body["Parameters"].items():
        if one["Type"] == "CommaDelimitedList" and not one.get("Default"):
            asked[key] = []
    found += [f"parameter {key} is in one of them only" for key in sorted(set(asked) ^ set(ours))]
    found += differences("parameters", asked, ours)
    return sorted(set(found))


# Mistakes that somebody could make in one of the two; the comparison is worth something only while it finds each.
MISTAKES = [
    ("terraform/commander/main.tf", "  permissions_boundary = aws_iam_policy.write_boundary.arn\n", ""),
    ("terraform/commander/main.tf", "  policy      = local.write_policy", "  policy      = local.read_policy"),
    ("terraform/commander/main.tf", 'http_tokens                 = "required"', 'http_tokens                 = "optional"'),
    ("terraform/commander/main.tf", "  encrypted         = true\n", ""),
    ("terraform/commander/main.tf", "    to_port     = 443", "    to_port     = 65535"),
    ("terraform/commander/main.tf", "readOnly    = [false]", "readOnly    = [true]"),
    ("terraform/commander/main.tf", "min_healthy_percentage = 0", "min_healthy_percentage = 90"),
    ("terraform/commander/main.tf", "resources = [aws_iam_role.read.arn, aws_iam_role.write.arn]", 'resources = ["*"]'),
    ("terraform/commander/main.tf", "VOLUME=${aws_ebs_volume.data.id}", "VOLUME=vol-1"),
    ("terraform/commander/outputs.tf", "aws_iam_role.read.arn", "aws_iam_role.instance.arn"),
    ("terraform/commander/variables.tf", 'default     = "t4g.small"', 'default     = "t4g.nano"'),
    ("terraform/demo/main.tf", "threshold           = 0.2", "threshold           = 0.9"),
    ("terraform/demo/main.tf", "treat_missing_data ", "treat_mising_data "),
    ("terraform/demo/main.tf", '{ size = "5", callers = "8" }', '{ size = "5", callers = "5" }'),
    ("terraform/demo/main.tf", "publish = true", "publish = false"),
    ("cloudformation/commander.yaml", "PermissionsBoundary: !Ref WriteBoundary", "PermissionsBoundary: !Ref AWS::NoValue"),
    ("cloudformation/commander.yaml", "Encrypted: true", "Encrypted: false"),
    ("cloudformation/commander.yaml", "Protocol: https", "Protocol: http"),
    ("cloudformation/demo.yaml", "AuthType: AWS_IAM", "AuthType: NONE"),
]


def overlooked(deploy, mistakes, finds):
    """The mistakes that `finds` says nothing about, made one by one in `deploy`, which is a copy."""
    missed = []
    for file, right, wrong in mistakes:
        path = deploy / file
        kept = path.read_text()
        if right not in kept:
            missed.append(f"{file} does not say {right.strip()!r}")
            continue
        path.write_text(kept.replace(right, wrong, 1))
        if not finds(path.parent.name if path.suffix == ".tf" else path.stem, deploy):
            missed.append(f"{file}: {wrong.strip()!r} in place of {right.strip()!r}")
        path.write_text(kept)
    return missed
