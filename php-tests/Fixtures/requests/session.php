<?php

declare(strict_types=1);

/* A request with a session, by PHP's own functions. What `do` asks for happens while it is open. */

if (isset($_GET['endpoint'])) {
    $options = json_decode($_GET['options'] ?? '[]', true);
    (new ResilientRedis\SessionHandler(new ResilientRedis($_GET['endpoint']), $options))->register();
}
session_id($_GET['id']);
try {
    $started = session_start(json_decode($_GET['start'] ?? '[]', true));
} catch (ResilientRedis\Exception $thrown) {
    exit(json_encode(['thrown' => get_class($thrown), 'message' => $thrown->getMessage()]));
}
$_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
usleep((int) ($_GET['takes'] ?? 0));
match ($_GET['do'] ?? '') {
    'nothing' => $_SESSION['visits']--,
    'regenerate' => session_regenerate_id(true),
    'destroy' => session_destroy(),
    'abort' => session_abort(),
    'reset' => session_reset(),
    'fail' => throw new Exception('the program has a mistake'),
    default => null,
};
echo json_encode(['started' => $started, 'visits' => $_SESSION['visits'], 'id' => session_id()]);
