# Lifeboat's side of an AWS account, for who has Terraform: the stack of deploy/aws.yaml, in its words. docs/aws.md, "By the template".
terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0, < 7.0"
    }
  }
}

provider "aws" {
  region = var.region
}

# The template is longer than CloudFormation takes in a request, so it goes by the artifacts' bucket. A new one has a new key: the stack is
# then updated.
locals {
  template     = "${path.module}/../aws.yaml"
  template_key = "lifeboat/aws-${filesha256(local.template)}.yaml"
}

resource "aws_s3_object" "template" {
  bucket = var.artifact_bucket
  key    = local.template_key
  source = local.template
}

resource "aws_s3_object" "package" {
  bucket = var.artifact_bucket
  key    = "lifeboat/${filesha256(var.package)}/${basename(var.package)}"
  source = var.package
}

resource "aws_s3_object" "node" {
  bucket = var.artifact_bucket
  key    = "lifeboat/${filesha256(var.node)}/${basename(var.node)}"
  source = var.node
}

resource "aws_cloudformation_stack" "lifeboat" {
  name         = var.name
  template_url = "https://${var.artifact_bucket}.s3.${var.region}.amazonaws.com/${aws_s3_object.template.key}"
  capabilities = ["CAPABILITY_IAM"]
  # Half-made roles are of no use, and the bucket and the log stay in any case.
  on_failure = "ROLLBACK"

  # The template has more parameters, each with a description; they go the same way.
  parameters = {
    VpcId             = var.vpc_id
    ProxySubnets      = join(",", var.proxy_subnets)
    ProductionSubnets = join(",", var.production_subnets)
    TestSubnets       = join(",", var.test_subnets)
    RouteTables       = join(",", var.route_tables)
    Plans             = join(",", var.plans)
    HostedZones       = join(",", var.hosted_zones)
    RecordNames       = join(",", var.record_names)
    SnapshotKeyArn    = var.snapshot_key_arn
    RepositoryKeyArn  = var.repository_key_arn
    ProxyCount        = var.proxy_count
    ArtifactBucket    = var.artifact_bucket
    PackageKey        = aws_s3_object.package.key
    PackageSha256     = filesha256(var.package)
    NodeKey           = aws_s3_object.node.key
    NodeSha256        = filesha256(var.node)
    TemporalAddress   = var.temporal_address
    TemporalNamespace = var.temporal_namespace
    TemporalSecretArn = var.temporal_secret_arn
    TrustAnchorArn    = var.trust_anchor_arn
    NoticeEmail       = var.notice_email
  }
}
