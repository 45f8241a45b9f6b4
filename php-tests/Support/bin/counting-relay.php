<?php

/*
 * Relays connections to a port of this machine, one at a time, and says of each how much it carried:
 * php counting-relay.php PORT. Prints its own port, then for each connection that ended "UP DOWN TURNS": bytes to the
 * server, bytes from it, and how often what came changed its direction.
 */

declare(strict_types=1);

$listener = stream_socket_server('tcp://127.0.0.1:0') ?: exit(1);
echo substr(strrchr((string) stream_socket_get_name($listener, false), ':'), 1), "\n";
while (true) {
    $client = @stream_socket_accept($listener, 86_400);
    $server = $client === false ? false : stream_socket_client("tcp://127.0.0.1:$argv[1]");
    if ($client === false || $server === false) {
        exit(1);
    }
    $carried = [0, 0];
    $turns = 0;
    $last = null;
    while (true) {
        $ready = [$client, $server];
        $none = null;
        stream_select($ready, $none, $none, null);
        foreach ($ready as $from) {
            $bytes = fread($from, 65_536);
            if ($bytes === '' || $bytes === false) {
                break 2;
            }
            $way = $from === $client ? 0 : 1;
            $turns += $last === $way ? 0 : 1;
            $last = $way;
            $carried[$way] += strlen($bytes);
            fwrite($way === 0 ? $server : $client, $bytes);
        }
    }
    fclose($client);
    fclose($server);
    echo "$carried[0] $carried[1] $turns\n";
}
