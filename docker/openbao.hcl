# The server of docker-compose.yml. It unseals itself with a key of its own, so that a restart needs nobody.
storage "raft" {
  path    = "/openbao/file"
  node_id = "openbao"
}

listener "tcp" {
  address     = "0.0.0.0:8200"
  tls_disable = true # no port of it leaves the network of the compose file
}

seal "static" {
  current_key_id = "1"
  current_key    = "file:///run/secrets/openbao_seal_key"
}

# Every request, one line of JSON each, secrets as HMACs.
audit "file" "all" {
  description = "every request"
  options {
    file_path = "/openbao/logs/audit.log"
  }
}

api_addr     = "http://openbao:8200"
cluster_addr = "http://openbao:8201"
ui           = false
