<?php

declare(strict_types=1);

/*
 * name-server.php: answers questions for A records at 127.0.0.1:53 over UDP, from records that come as lines of JSON on its
 * input: ["primary.lab.test", ["10.77.0.11"]]. An empty list is a name that does not exist. Prints a line per change and
 * per query.
 */

$socket = stream_socket_server('udp://127.0.0.1:53', $code, $message, STREAM_SERVER_BIND) ?: exit("cannot listen: $message\n");
$records = [];
echo "ready\n";
while (true) {
    $readable = [$socket, STDIN];
    $writable = $except = null;
    stream_select($readable, $writable, $except, null);
    if (in_array(STDIN, $readable, true)) {
        $line = fgets(STDIN);
        if ($line === false) {
            exit(0);
        }
        [$name, $addresses] = json_decode($line, true, 4, JSON_THROW_ON_ERROR);
        $records[$name] = $addresses;
        echo "set $name\n";
    }
    if (in_array($socket, $readable, true)) {
        $query = (string) stream_socket_recvfrom($socket, 512, 0, $peer);
        if (strlen($query) > 16) {
            stream_socket_sendto($socket, answer($query, $records), 0, $peer);
        }
    }
}

/**
 * @param array<string, list<string>> $records
 */
function answer(string $query, array $records): string
{
    $labels = [];
    $at = 12;
    while ($at < strlen($query) && ($length = ord($query[$at])) > 0) {
        $labels[] = substr($query, $at + 1, $length);
        $at += $length + 1;
    }
    $question = substr($query, 12, $at + 5 - 12);
    ['type' => $type] = unpack('ntype', $query, $at + 1);
    $name = strtolower(implode('.', $labels));
    echo "query $name $type\n";
    $addresses = $records[$name] ?? [];
    $answers = '';
    // Type 1 is A; there are no AAAA records.
    foreach ($type === 1 ? $addresses : [] as $address) {
        $answers .= "\xc0\x0c" . pack('nnNn', 1, 1, 5, 4) . inet_pton($address);
    }
    $count = $type === 1 ? count($addresses) : 0;
    $code = $addresses === [] ? 3 : 0;

    return substr($query, 0, 2) . pack('nnnnn', 0x8180 | $code, 1, $count, 0, 0) . $question . $answers;
}
