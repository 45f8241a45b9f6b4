<?php

declare(strict_types=1);

/* Has the primary on PORT exchange roles with its replica after SECONDS, without a lost write: failover.php PORT SECONDS */

require dirname(__DIR__) . '/Support/autoload.php';

usleep((int) ((float) $argv[2] * 1e6));
$socket = stream_socket_client("tcp://127.0.0.1:$argv[1]") ?: exit(1);
fwrite($socket, "FAILOVER\r\n");
$answer = fgets($socket);
echo $answer;
exit($answer === "+OK\r\n" ? 0 : 1);
