# The demo's checkout service as a Lambda function: the same resources as deploy/cloudformation/demo.yaml, which says why
# each is there.
#
#   terraform apply -var="fault_scenario=normal" -var="alarm_topic=arn:aws:sns:…"
#   terraform apply -var="fault_scenario=deployment_config_bug" -var="alarm_topic=arn:aws:sns:…"

terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.40"
    }
  }
}

locals {
  # As FaultScenario in src/checkout/settings.rs; a test compares.
  pool = {
    normal                = { size = "10", callers = "5" }
    db_pool_exhaustion    = { size = "3", callers = "5" }
    deployment_config_bug = { size = "5", callers = "8" }
    memory_leak           = { size = "10", callers = "5" }
    cascading_failure     = { size = "2", callers = "10" }
  }
}

resource "aws_cloudwatch_log_group" "function" {
  name              = "/aws/lambda/demo-checkout-service"
  retention_in_days = 7
}

data "aws_iam_policy_document" "trust_lambda" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "log" {
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.function.arn}:*"]
  }
}

resource "aws_iam_role" "function" {
  name_prefix        = "demo-checkout-"
  description        = "The demo's checkout service writes its log, and nothing else."
  assume_role_policy = data.aws_iam_policy_document.trust_lambda.json
}

resource "aws_iam_role_policy" "log" {
  name   = "writes-its-log"
  role   = aws_iam_role.function.id
  policy = data.aws_iam_policy_document.log.json
}

resource "aws_lambda_function" "checkout" {
  function_name    = "demo-checkout-service"
  description      = "Takes orders through a bounded pool of connections."
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.architecture]
  memory_size      = 512
  timeout          = 60
  role             = aws_iam_role.function.arn
  filename         = var.code_archive
  source_code_hash = filebase64sha256(var.code_archive)
  # Each apply that changes something is a version; those before it stay.
  publish = true

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.function.name
  }

  environment {
    variables = {
      FAULT_SCENARIO = var.fault_scenario
      db_pool_size   = local.pool[var.fault_scenario].size
      max_concurrent = local.pool[var.fault_scenario].callers
    }
  }
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  function_name    = aws_lambda_function.checkout.function_name
  function_version = aws_lambda_function.checkout.version
}

resource "aws_lambda_function_url" "live" {
  function_name      = aws_lambda_function.checkout.function_name
  qualifier          = aws_lambda_alias.live.name
  authorization_type = "AWS_IAM"
}

resource "aws_cloudwatch_event_rule" "shoppers" {
  name_prefix         = "demo-checkout-shoppers-"
  description         = "The orders of a minute, each minute."
  schedule_expression = "rate(1 minute)"
}

resource "aws_cloudwatch_event_target" "shoppers" {
  rule  = aws_cloudwatch_event_rule.shoppers.name
  arn   = aws_lambda_alias.live.arn
  input = jsonencode({ requests = 150 })
}

resource "aws_lambda_permission" "shoppers" {
  function_name = aws_lambda_function.checkout.function_name
  qualifier     = aws_lambda_alias.live.name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.shoppers.arn
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  alarm_name          = "demo-checkout-service-errors"
  alarm_description   = "One in five orders fails for three minutes."
  namespace           = "DemoApp"
  metric_name         = "CheckoutFailures"
  dimensions          = { Service = "demo-checkout-service" }
  statistic           = "Average"
  period              = 60
  evaluation_periods  = 3
  threshold           = 0.2
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alarm_topic]
  ok_actions          = [var.alarm_topic]
}
