<?php

declare(strict_types=1);

/*
 * recording-relay.php SERVER-PORT: passes everything on between clients and a real server, as it comes. Prints its own port,
 * and then a line for each thing that a client did: a JSON list of the connection's number, what it was (opened, sent, closed),
 * and the bytes that were sent.
 */

use Tests\Support\Ports;

require dirname(__DIR__) . '/autoload.php';

$serverPort = (int) $argv[1];
$port = Ports::free();
$listener = stream_socket_server("tcp://127.0.0.1:$port") ?: exit("cannot listen on port $port\n");
echo "$port\n";

$note = static function (int $number, string $what, string $bytes = ''): void {
    echo json_encode([$number, $what, $bytes], JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE), "\n";
};
$count = 0;
/** @var array<int, array{other: resource, number: int, fromClient: bool}> $ends */
$ends = [];
$streams = [(int) $listener => $listener];
while (true) {
    $readable = array_values($streams);
    $writable = $except = null;
    stream_select($readable, $writable, $except, null);
    foreach ($readable as $stream) {
        if ($stream === $listener) {
            $client = stream_socket_accept($listener, 0.0);
            $server = $client === false ? false : @stream_socket_client("tcp://127.0.0.1:$serverPort");
            if ($client !== false && $server !== false) {
                $note(++$count, 'opened');
                $ends[(int) $client] = ['other' => $server, 'number' => $count, 'fromClient' => true];
                $ends[(int) $server] = ['other' => $client, 'number' => $count, 'fromClient' => false];
                $streams += [(int) $client => $client, (int) $server => $server];
            }
            continue;
        }
        if (!isset($ends[(int) $stream])) {
            // Its other end has just been closed.
            continue;
        }
        ['other' => $other, 'number' => $number, 'fromClient' => $fromClient] = $ends[(int) $stream];
        $bytes = (string) fread($stream, 65536);
        if ($bytes !== '') {
            if ($fromClient) {
                $note($number, 'sent', $bytes);
            }
            @fwrite($other, $bytes);
        } elseif (feof($stream)) {
            if ($fromClient) {
                $note($number, 'closed');
            }
            unset($ends[(int) $stream], $ends[(int) $other], $streams[(int) $stream], $streams[(int) $other]);
            fclose($stream);
            fclose($other);
        }
    }
}
