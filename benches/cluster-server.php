<?php

declare(strict_types=1);

/*
 * cluster-server.php NODES: a server that plays a cluster of so many primaries, all of them itself: addresses of 127/8 are all this
 * machine. Prints its port. It knows what a client asks at first, and GET.
 */

$nodes = (int) $argv[1];
$listener = stream_socket_server('tcp://0.0.0.0:0') ?: exit(1);
$port = (int) substr(strrchr((string) stream_socket_get_name($listener, false), ':'), 1);
$bulk = static fn (string $text): string => '$' . strlen($text) . "\r\n$text\r\n";
$map = "*$nodes\r\n";
for ($i = 0; $i < $nodes; $i++) {
    $address = sprintf('127.1.%d.%d', intdiv($i, 250), $i % 250 + 1);
    $map .= sprintf("*3\r\n:%d\r\n:%d\r\n*2\r\n%s:%d\r\n", intdiv($i * 16384, $nodes), intdiv(($i + 1) * 16384, $nodes) - 1, $bulk($address), $port);
}
$answer = static fn (string $name): string => match (strtoupper($name)) {
    'HELLO' => '*8' . "\r\n" . $bulk('server') . $bulk('redis') . $bulk('version') . $bulk('7.0.15') . $bulk('mode') . $bulk('cluster') . $bulk('role') . $bulk('master'),
    'INFO' => $bulk("# Replication\r\nrole:master\r\nconnected_slaves:0\r\n"),
    'CLUSTER' => $map,
    'GET' => $bulk('vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv'),
    default => "-ERR unknown command '$name'\r\n",
};
echo "$port\n";

$clients = [];
while (true) {
    $ready = [$listener, ...$clients];
    $none = null;
    stream_select($ready, $none, $none, null);
    foreach ($ready as $stream) {
        if ($stream === $listener) {
            $client = stream_socket_accept($listener);
            $clients[(int) $client] = $client;
            continue;
        }
        $request = fread($stream, 65536);
        if ($request === '' || $request === false) {
            unset($clients[(int) $stream]);
            fclose($stream);
            continue;
        }
        // Commands are short, and the client sends whole ones.
        preg_match_all('/\*\d+\r\n\$\d+\r\n(\w+)\r\n/', $request, $names);
        fwrite($stream, implode('', array_map($answer, $names[1])));
    }
}
