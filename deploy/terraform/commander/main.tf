# Incident Commander on one small EC2 instance: the same resources as deploy/cloudformation/commander.yaml,
# which says why each is there. The policies are those of deploy/iam-read.json and deploy/iam-write.json.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.40"
    }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

data "aws_ssm_parameter" "image" {
  name = var.image_parameter
}

locals {
  read_policy  = file("${path.module}/../../iam-read.json")
  write_policy = file("${path.module}/../../iam-write.json")
  arn          = "arn:${data.aws_partition.current.partition}"
  here         = "${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}"
}

resource "aws_secretsmanager_secret" "slack" {
  name_prefix = "incident-commander-"
  description = "JSON with bot_token (xoxb-…), app_token (xapp-…) and alert_token. Put Slack's two in once this is made."
}

data "aws_secretsmanager_random_password" "alert_token" {
  password_length     = 40
  exclude_punctuation = true
}

resource "aws_secretsmanager_secret_version" "slack" {
  secret_id = aws_secretsmanager_secret.slack.id
  secret_string = jsonencode({
    bot_token   = "xoxb-"
    app_token   = "xapp-"
    alert_token = data.aws_secretsmanager_random_password.alert_token.random_password
  })

  # Secrets Manager forgets a version without a label, and Terraform would then put this one in again over what came later:
  # the label of its own stays.
  version_stages = ["AWSCURRENT", "first"]

  lifecycle {
    ignore_changes = [secret_string, version_stages]
  }
}

data "aws_iam_policy_document" "trust_instance" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = [aws_iam_role.instance.arn]
    }
  }
}

resource "aws_iam_role" "read" {
  name_prefix        = "incident-commander-read-"
  description        = "What an investigation reads. Nothing here changes anything."
  assume_role_policy = data.aws_iam_policy_document.trust_instance.json
}

resource "aws_iam_role_policy" "read" {
  name   = "incident-commander-reads"
  role   = aws_iam_role.read.id
  policy = local.read_policy
}

resource "aws_iam_policy" "write_boundary" {
  name_prefix = "incident-commander-boundary-"
  description = "The most that the writing role can ever be granted."
  policy      = local.write_policy
}

resource "aws_iam_role" "write" {
  name_prefix          = "incident-commander-write-"
  description          = "What an approved rollback calls. Assumed after an approval and for nothing else."
  permissions_boundary = aws_iam_policy.write_boundary.arn
  assume_role_policy   = data.aws_iam_policy_document.trust_instance.json
}

# What it may is all that it can ever be granted: one list, as its policy and as its limit.
resource "aws_iam_role_policy_attachment" "write" {
  role       = aws_iam_role.write.name
  policy_arn = aws_iam_policy.write_boundary.arn
}

data "aws_iam_policy_document" "trust_ec2" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.${data.aws_partition.current.dns_suffix}"]
    }
  }
}

resource "aws_iam_role" "instance" {
  name_prefix        = "incident-commander-machine-"
  description        = "The machine. It fetches the binary, the configuration and the secrets, and mounts its volume."
  assume_role_policy = data.aws_iam_policy_document.trust_ec2.json
}

resource "aws_iam_role_policy_attachment" "session_manager" {
  role       = aws_iam_role.instance.name
  policy_arn = "${local.arn}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

data "aws_iam_policy_document" "instance" {
  statement {
    sid       = "BecomesReaderAndWriter"
    actions   = ["sts:AssumeRole"]
    resources = [aws_iam_role.read.arn, aws_iam_role.write.arn]
  }
  statement {
    sid       = "ReadsItsSecrets"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [aws_secretsmanager_secret.slack.arn]
  }
  statement {
    sid       = "ReadsItsConfiguration"
    actions   = ["ssm:GetParameter"]
    resources = ["${local.arn}:ssm:${local.here}:parameter${var.configuration_parameter}"]
  }
  statement {
    sid       = "FetchesWhatItRuns"
    actions   = ["s3:GetObject"]
    resources = ["${local.arn}:s3:::${var.artifact_bucket}/${var.artifact_prefix}*"]
  }
  statement {
    sid       = "AttachesItsVolume"
    actions   = ["ec2:AttachVolume"]
    resources = [aws_ebs_volume.data.arn, "${local.arn}:ec2:${local.here}:instance/*"]
  }
}

resource "aws_iam_role_policy" "instance" {
  name   = "incident-commander-machine"
  role   = aws_iam_role.instance.id
  policy = data.aws_iam_policy_document.instance.json
}

data "aws_iam_policy_document" "further_roles" {
  statement {
    sid       = "BecomesReaderAndWriterElsewhere"
    actions   = ["sts:AssumeRole"]
    resources = var.further_role_arns
  }
}

resource "aws_iam_role_policy" "further_roles" {
  count  = length(var.further_role_arns) == 0 ? 0 : 1
  name   = "incident-commander-in-other-accounts"
  role   = aws_iam_role.instance.id
  policy = data.aws_iam_policy_document.further_roles.json
}

resource "aws_iam_instance_profile" "instance" {
  name_prefix = "incident-commander-"
  role        = aws_iam_role.instance.name
}

resource "aws_ebs_volume" "data" {
  availability_zone = var.availability_zone
  size              = var.volume_size
  type              = "gp3"
  encrypted         = true
  final_snapshot    = true
  tags              = { Name = "incident-commander" }
}

resource "aws_security_group" "instance" {
  name_prefix = "incident-commander-"
  description = "Nothing comes in; HTTPS and DNS go out."
  vpc_id      = var.vpc_id

  egress {
    description = "Slack and AWS"
    protocol    = "tcp"
    from_port   = 443
    to_port     = 443
    cidr_blocks = ["0.0.0.0/0"]
  }

  egress {
    description = "DNS"
    protocol    = "udp"
    from_port   = 53
    to_port     = 53
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_launch_template" "instance" {
  name_prefix            = "incident-commander-"
  image_id               = data.aws_ssm_parameter.image.value
  instance_type          = var.instance_type
  vpc_security_group_ids = [aws_security_group.instance.id]
  update_default_version = true

  iam_instance_profile {
    arn = aws_iam_instance_profile.instance.arn
  }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  tag_specifications {
    resource_type = "instance"
    tags          = { Name = "incident-commander" }
  }

  user_data = base64encode(<<-EOT
    #!/bin/bash
    export AWS_DEFAULT_REGION=${data.aws_region.current.name} BUCKET=${var.artifact_bucket} PREFIX=${var.artifact_prefix} \
      VOLUME=${aws_ebs_volume.data.id} CONFIGURATION=${var.configuration_parameter} SLACK_SECRET=${aws_secretsmanager_secret.slack.arn}
    aws s3 cp "s3://$BUCKET/$PREFIX"start.sh /root/start.sh && bash /root/start.sh
  EOT
  )
}

resource "aws_autoscaling_group" "instance" {
  name_prefix               = "incident-commander-"
  min_size                  = 1
  max_size                  = 1
  desired_capacity          = 1
  health_check_type         = "EC2"
  health_check_grace_period = 300
  vpc_zone_identifier       = [var.subnet_id]

  launch_template {
    id      = aws_launch_template.instance.id
    version = aws_launch_template.instance.latest_version
  }

  # One at a time: two bots on one database are refused, and the volume is attached to one machine.
  instance_refresh {
    strategy = "Rolling"
    preferences {
      min_healthy_percentage = 0
    }
  }
}

resource "aws_sns_topic" "alarms" {
  name_prefix       = "incident-commander-"
  display_name      = "Incident Commander"
  signature_version = 2
}

data "aws_iam_policy_document" "alarms" {
  statement {
    sid       = "AlarmsOfThisAccount"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms.arn]
    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
  statement {
    sid       = "ChangesByTheRulesBelow"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms.arn]
    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_cloudwatch_event_rule.changes.arn, aws_cloudwatch_event_rule.deployments.arn]
    }
  }
}

resource "aws_sns_topic_policy" "alarms" {
  arn    = aws_sns_topic.alarms.arn
  policy = data.aws_iam_policy_document.alarms.json
}

resource "aws_sns_topic_subscription" "alarms" {
  count     = var.alarm_endpoint == "" ? 0 : 1
  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "https"
  endpoint  = var.alarm_endpoint
}

resource "aws_cloudwatch_event_rule" "changes" {
  name_prefix = "incident-commander-changes-"
  description = "Changes reach the bot sooner than CloudTrail shows them. Needs a trail in this Region."
  event_pattern = jsonencode({
    detail-type = ["AWS API Call via CloudTrail"]
    detail = {
      eventSource = ["lambda.amazonaws.com", "ecs.amazonaws.com", "ssm.amazonaws.com", "appconfig.amazonaws.com"]
      readOnly    = [false]
    }
  })
}

resource "aws_cloudwatch_event_target" "changes" {
  rule = aws_cloudwatch_event_rule.changes.name
  arn  = aws_sns_topic.alarms.arn
}

resource "aws_cloudwatch_event_rule" "deployments" {
  name_prefix = "incident-commander-deployments-"
  description = "What AWS's services tell of releases themselves, and of trouble of their own."
  event_pattern = jsonencode({
    source = ["aws.codedeploy", "aws.ecs", "aws.cloudformation", "aws.ssm", "aws.health"]
    detail-type = [
      "CodeDeploy Deployment State-change Notification",
      "ECS Deployment State Change",
      "CloudFormation Stack Status Change",
      "CloudFormation Resource Status Change",
      "Parameter Store Change",
      "AWS Health Event",
    ]
  })
}

resource "aws_cloudwatch_event_target" "deployments" {
  rule = aws_cloudwatch_event_rule.deployments.name
  arn  = aws_sns_topic.alarms.arn
}
