<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ConfigurationException;
use ResilientRedis\ConnectionException;
use ResilientRedis\TimeoutException;
use Tests\Support\Certificates;
use Tests\Support\Extension;
use Tests\Support\Process;
use Tests\Support\RedisServer;
use Tests\Support\RedisTestCase;
use Tests\Support\Sentinel;
use Tests\Support\Wait;

/** TLS with redis-server as Debian builds it, and certificates as openssl makes them. */
final class TlsTest extends RedisTestCase
{
    private static ?Certificates $authority = null;

    public static function tearDownAfterClass(): void
    {
        self::$authority = null;
        parent::tearDownAfterClass();
    }

    private static function authority(): Certificates
    {
        return self::$authority ??= new Certificates();
    }

    /**
     * A server with a certificate; for localhost, if none is given.
     *
     * @param array{string, string}|null $identity
     * @param array<string, string> $directives
     * @return array{RedisServer, int} the server and its TLS port
     */
    private function secureServer(?array $identity = null, array $directives = [], bool $wantsClients = false): array
    {
        $identity ??= self::authority()->issue('DNS:localhost');
        $directives += self::authority()->server($identity, $wantsClients);
        // The name may lead to either loopback address, where there are two.
        $directives += ['bind' => '127.0.0.1 -::1'];

        return [$this->server($directives), (int) $directives['tls-port']];
    }

    /**
     * A client of a TLS port that trusts the authority, unless the options say otherwise.
     *
     * @param array<string, mixed> $ssl
     * @param array<string, mixed> $options
     */
    private static function secured(int $port, array $ssl = [], array $options = [], string $host = 'localhost'): ResilientRedis
    {
        $parameters = ['scheme' => 'tls', 'host' => $host, 'port' => $port, 'ssl' => $ssl + ['cafile' => self::authority()->authority()]];

        return new ResilientRedis($parameters, $options + ['command_timeout' => 5.0]);
    }

    /** What is said at once of a server that cannot be trusted, or does not trust us. */
    private static function refusal(ResilientRedis $redis): string
    {
        $began = Wait::now();
        $exception = self::thrown(ConnectionException::class, static fn () => $redis->ping());
        self::assertSame('tls', $exception->getPhase(), $exception->getMessage());
        self::assertLessThan(2.0, Wait::now() - $began, 'no time heals it: ' . $exception->getMessage());

        return $exception->getMessage();
    }

    public function test_the_right_authority_and_the_right_name_are_all_that_it_takes(): void
    {
        [$server, $port] = $this->secureServer();
        foreach (['tls', 'rediss'] as $scheme) {
            $redis = new ResilientRedis("$scheme://localhost:$port?ssl[cafile]=" . self::authority()->authority());
            self::assertSame('PONG', (string) $redis->ping());
        }
        $redis = self::secured($port);
        $redis->set('k', 'v');
        self::assertSame(['v', 'v'], [$redis->get('k'), $server->command('GET', 'k')]);
        $resp3 = self::secured($port, options: ['parameters' => ['protocol' => 3]]);
        $resp3->hset('h', ['a' => 1]);
        self::assertSame(['a' => '1'], $resp3->hgetall('h'));
    }

    public function test_what_is_wrong_with_a_certificate_is_said_with_what_to_do(): void
    {
        [, $port] = $this->secureServer();
        $unknown = (new Certificates('Another authority'))->authority();
        self::assertStringContainsString('not from an authority that is trusted here: name the file', self::refusal(self::secured($port, ['cafile' => $unknown])));
        $again = (new Certificates())->authority();
        self::assertStringContainsString('has the name of one that is trusted here and another key', self::refusal(self::secured($port, ['cafile' => $again])));
        $message = self::refusal(self::secured($port, host: '127.0.0.1'));
        self::assertStringContainsString('not for 127.0.0.1 but for localhost: connect by such a name, or give it in option ssl.peer_name', $message);
        self::assertStringContainsString("[tls://127.0.0.1:$port]", $message);
        [, $expired] = $this->secureServer(self::authority()->expired('DNS:localhost'));
        self::assertMatchesRegularExpression('/has expired: it was valid until 2021-12-31 23:59 UTC \(\d+ days ago\)/', self::refusal(self::secured($expired)));
    }

    public function test_without_a_file_the_authorities_of_the_system_are_trusted(): void
    {
        [, $port] = $this->secureServer(self::authority()->issue('DNS:localhost,IP:127.0.0.1'));
        // Where the environment says that they are, as for other programs.
        putenv('SSL_CERT_FILE=' . self::authority()->authority());
        try {
            self::assertSame('PONG', (string) (new ResilientRedis("tls://localhost:$port"))->ping());
            putenv('SSL_CERT_FILE=' . (new Certificates('Another authority'))->authority());
            self::assertStringContainsString('option ssl.cafile', self::refusal(new ResilientRedis("tls://127.0.0.1:$port")));
        } finally {
            putenv('SSL_CERT_FILE');
        }
    }

    public function test_names_are_verified_as_the_options_say(): void
    {
        [, $port] = $this->secureServer();
        self::assertSame('PONG', (string) self::secured($port, ['peer_name' => 'localhost'], host: '127.0.0.1')->ping());
        self::assertSame('PONG', (string) self::secured($port, ['verify_peer_name' => false], host: '127.0.0.1')->ping());
        self::assertStringContainsString('not for other.example but for localhost', self::refusal(self::secured($port, ['peer_name' => 'other.example'])));
        self::assertStringContainsString('but for localhost', self::refusal(self::secured($port, ['verify_peer' => false], host: '127.0.0.1')));
        [, $by] = $this->secureServer(self::authority()->issue('IP:127.0.0.1'));
        self::assertSame('PONG', (string) self::secured($by, host: '127.0.0.1')->ping());
        self::assertStringContainsString('not for localhost but for 127.0.0.1', self::refusal(self::secured($by)));
    }

    public function test_a_self_signed_certificate_is_refused_unless_it_is_allowed_or_named(): void
    {
        $identity = self::authority()->selfSigned('DNS:localhost');
        [, $port] = $this->secureServer($identity);
        self::assertStringContainsString('ssl.cafile', self::refusal(self::secured($port)));
        self::assertSame('PONG', (string) self::secured($port, ['allow_self_signed' => true])->ping());
        self::assertSame('PONG', (string) self::secured($port, ['cafile' => $identity[0]])->ping());
        self::assertSame('PONG', (string) self::secured($port, ['verify_peer' => false])->ping());
    }

    public function test_a_server_that_wants_a_certificate_of_the_client_gets_one(): void
    {
        foreach (['TLSv1.2', 'TLSv1.3'] as $version) {
            [, $port] = $this->secureServer(directives: ['tls-protocols' => $version], wantsClients: true);
            self::assertStringContainsString('ssl.local_cert', self::refusal(self::secured($port)), $version);
            [$certificate, $key] = self::authority()->issue('DNS:client');
            $own = ['local_cert' => $certificate, 'local_pk' => $key];
            self::assertSame('PONG', (string) self::secured($port, $own)->ping(), $version);
            $sealed = ['local_pk' => self::authority()->encrypted($key, 'hunter2'), 'passphrase' => 'hunter2'] + $own;
            self::assertSame('PONG', (string) self::secured($port, $sealed)->ping(), $version);
            $stranger = (new Certificates())->issue('DNS:client');
            self::assertStringContainsString('ssl.local_cert', self::refusal(self::secured($port, ['local_cert' => $stranger[0], 'local_pk' => $stranger[1]])), $version);
        }
    }

    public function test_files_that_cannot_be_used_are_named_before_anything_is_opened(): void
    {
        [$certificate, $key] = self::authority()->issue('DNS:client');
        $sealed = self::authority()->encrypted($key, 'hunter2');
        foreach ([
            [['cafile' => '/nowhere/ca.crt'], "option `ssl.cafile`: given '/nowhere/ca.crt', which cannot be read: No such file or directory"],
            [['cafile' => $key], 'which holds no certificate'],
            [['local_cert' => $certificate], 'the file with its key in `local_pk`'],
            [['local_cert' => $certificate, 'local_pk' => self::authority()->issue('DNS:other')[1]], 'not the one of the certificate'],
            [['local_cert' => $certificate, 'local_pk' => $sealed], 'option `ssl.passphrase`: given nothing'],
            [['local_cert' => $certificate, 'local_pk' => $sealed, 'passphrase' => 'hunter3'], 'a secret that does not open the key'],
            [['local_cert' => $certificate, 'local_pk' => self::authority()->encryptedInTheOldWay($key, 'hunter2'), 'passphrase' => 'hunter3'], 'openssl pkcs8 -topk8'],
            [['cafil' => '/x'], 'did you mean `cafile`'],
            [['ciphers' => 'HIGH'], 'ECDHE'],
            [['crypto_method' => STREAM_CRYPTO_METHOD_TLSv1_1_CLIENT], 'STREAM_CRYPTO_METHOD_TLSv1_2_CLIENT'],
        ] as [$ssl, $expected]) {
            $exception = self::thrown(ConfigurationException::class, static fn () => self::secured(1, $ssl));
            self::assertStringContainsString($expected, $exception->getMessage());
            self::assertStringNotContainsString('hunter', $exception->getMessage());
            self::assertStringNotContainsString('PRIVATE', $exception->getMessage());
        }
    }

    public function test_versions_are_chosen_by_the_constants_of_streams(): void
    {
        [, $old] = $this->secureServer(directives: ['tls-protocols' => 'TLSv1.2']);
        [, $new] = $this->secureServer(directives: ['tls-protocols' => 'TLSv1.3']);
        self::assertSame('PONG', (string) self::secured($old, ['crypto_method' => STREAM_CRYPTO_METHOD_TLSv1_2_CLIENT])->ping());
        self::assertSame('PONG', (string) self::secured($new, ['crypto_method' => STREAM_CRYPTO_METHOD_TLS_CLIENT])->ping());
        self::assertStringContainsString('would not agree on TLS', self::refusal(self::secured($old, ['min_proto_version' => STREAM_CRYPTO_PROTO_TLSv1_3])));
        self::assertStringContainsString('would not agree on TLS', self::refusal(self::secured($new, ['crypto_type' => STREAM_CRYPTO_METHOD_TLSv1_2_CLIENT])));
    }

    public function test_schemes_that_do_not_fit_the_port_are_told_from_an_outage(): void
    {
        [$server, $port] = $this->secureServer();
        $plain = new ResilientRedis("tcp://localhost:$port", ['command_timeout' => 0.5]);
        $exception = self::thrown(TimeoutException::class, static fn () => $plain->ping());
        self::assertStringContainsString('if the server speaks TLS on this port: use scheme tls', $exception->getMessage());
        $secured = self::secured($server->port, options: ['timeout' => 0.3, 'command_timeout' => 1.0]);
        $exception = self::thrown(ConnectionException::class, static fn () => $secured->ping());
        self::assertSame('tls', $exception->getPhase(), $exception->getMessage());
        self::assertMatchesRegularExpression('/answers without TLS|speaks no TLS on this port|does it speak TLS on this port/', $exception->getMessage());
    }

    public function test_pipelines_and_large_values_go_both_ways_whole(): void
    {
        [$server, $port] = $this->secureServer();
        $redis = self::secured($port);
        $replies = $redis->pipeline(static function ($pipe): void {
            for ($i = 0; $i < 10_000; $i++) {
                $pipe->set("k:$i", str_repeat((string) $i, 20));
                $pipe->get("k:$i");
            }
        });
        self::assertCount(20_000, $replies);
        for ($i = 0; $i < 10_000; $i++) {
            self::assertSame(str_repeat((string) $i, 20), $replies[2 * $i + 1]);
        }
        $large = random_bytes(20 * 1024 * 1024);
        $redis->set('large', $large);
        self::assertTrue($redis->get('large') === $large, 'what came back is something else');
        self::assertSame(strlen($large), $server->command('STRLEN', 'large'));
        $both = $redis->pipeline(static fn ($pipe) => $pipe->get('large')->set('other', $large)->get('other')->get('k:1'));
        self::assertTrue($both[0] === $large && $both[2] === $large && $both[3] === '11111111111111111111', 'the replies of a pipeline');
    }

    public function test_subscribers_hear_every_message_however_many_come_at_once(): void
    {
        [$server, $port] = $this->secureServer();
        $publisher = $server->connect();
        $loop = self::secured($port)->pubSubLoop();
        $loop->subscribe('news');
        $heard = 0;
        foreach ($loop as $message) {
            if ($message->kind === 'subscribe') {
                for ($i = 0; $i < 3_000; $i++) {
                    $publisher->command('PUBLISH', 'news', str_repeat('x', 100) . $i);
                }
            }
            if ($message->kind === 'message') {
                self::assertSame(str_repeat('x', 100) . $heard, $message->payload);
                if (++$heard === 3_000) {
                    break;
                }
            }
        }
        $loop->stop(true);
        self::assertSame(3_000, $heard);
    }

    public function test_connections_are_shared_by_who_says_the_same_of_tls_and_by_nobody_else(): void
    {
        // By its address: behind a name may stand two, which are tried side by side.
        [$server, $port] = $this->secureServer(self::authority()->issue('IP:127.0.0.1'));
        self::secured($port, host: '127.0.0.1')->ping();
        $before = $server->counters();
        self::secured($port, host: '127.0.0.1')->ping();
        self::assertSame(0, $server->counters()->since($before)->connections, 'connections of a second client');
        self::secured($port, ['verify_peer' => false], host: '127.0.0.1')->ping();
        self::assertSame(1, $server->counters()->since($before)->connections, 'connections of one that verifies less');
    }

    public function test_a_connection_that_was_idle_is_seen_to_be_closed_before_it_is_used(): void
    {
        [$server, $port] = $this->secureServer();
        $redis = self::secured($port, options: ['check_idle_after' => 0]);
        for ($i = 1; $i <= 20; $i++) {
            self::assertSame($i, $redis->incr('n'));
            $server->command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
            usleep(3_000);
        }
        self::assertSame('20', $server->command('GET', 'n'));
    }

    public function test_a_replica_that_is_reached_by_its_address_is_verified_by_the_name_of_the_endpoint(): void
    {
        $identity = self::authority()->issue('DNS:localhost');
        [$primary, $port] = $this->secureServer($identity, ['tls-replication' => 'yes']);
        [$replica, $other] = $this->secureServer($identity, ['tls-replication' => 'yes', 'replicaof' => "127.0.0.1 $port"]);
        $replica->waitUntilLinked();
        $redis = self::secured($port, options: ['command_timeout' => 10.0]);
        self::assertSame(1, $redis->incr('n'));
        Wait::until('the replica has it', static fn (): bool => $replica->command('GET', 'n') === '1');
        $primary->kill();
        $replica->promote();
        self::assertSame(2, $redis->incr('n'));
        self::assertSame('2', $replica->command('GET', 'n'));
        self::assertContains("127.0.0.1:$other", array_column($redis->stats()['pools'], 'node'), self::seen($redis->stats()));
    }

    public function test_behind_sentinels_nodes_are_verified_by_their_addresses_and_sentinels_by_their_names(): void
    {
        $ofNodes = self::authority()->issue('IP:127.0.0.1');
        [$primary, $port] = $this->secureServer($ofNodes, ['tls-replication' => 'yes']);
        [$replica] = $this->secureServer($ofNodes, ['tls-replication' => 'yes', 'replicaof' => "127.0.0.1 $port"]);
        $replica->waitUntilLinked();
        $directives = ['tls-replication' => 'yes'] + self::authority()->server(self::authority()->issue('DNS:localhost,IP:127.0.0.1'));
        $lines = array_map(static fn (string $name, string $value): string => "$name $value", array_keys($directives), $directives);
        $service = ["sentinel monitor mymaster 127.0.0.1 $port 1", 'sentinel down-after-milliseconds mymaster 300', 'sentinel failover-timeout mymaster 5000'];
        $sentinel = Sentinel::start([...$lines, ...$service]);
        try {
            Wait::until('the Sentinel knows the replica', static fn (): bool => $sentinel->master('mymaster')['num-slaves'] === '1');
            $uri = "tls://localhost:{$directives['tls-port']}?ssl[cafile]=" . self::authority()->authority();
            $redis = new ResilientRedis([$uri], ['replication' => 'sentinel', 'service' => 'mymaster', 'command_timeout' => 15.0]);
            self::assertSame(1, $redis->incr('n'));
            Wait::until('the replica has it', static fn (): bool => $replica->command('GET', 'n') === '1');
            $primary->kill();
            self::assertSame(2, $redis->incr('n'));
            self::assertSame('2', $replica->connect()->command('GET', 'n'));
        } finally {
            $sentinel->kill();
        }
    }

    public function test_the_nodes_of_a_cluster_are_verified_by_the_name_of_its_endpoint(): void
    {
        $identity = self::authority()->issue('DNS:localhost');
        $directives = ['cluster-enabled' => 'yes', 'cluster-config-file' => 'nodes.conf', 'tls-cluster' => 'yes', 'tls-replication' => 'yes'];
        [$first, $port] = $this->secureServer($identity, $directives);
        [$second, $other] = $this->secureServer($identity, $directives);
        $second->command('CLUSTER', 'SET-CONFIG-EPOCH', 2);
        $first->command('CLUSTER', 'ADDSLOTSRANGE', 0, 8191);
        $second->command('CLUSTER', 'ADDSLOTSRANGE', 8192, 16383);
        $first->command('CLUSTER', 'MEET', '127.0.0.1', $other);
        foreach ([$first, $second] as $node) {
            Wait::until('the cluster is whole', static function () use ($node): bool {
                $info = (string) $node->command('CLUSTER', 'INFO');

                return str_contains($info, 'cluster_state:ok') && str_contains($info, 'cluster_slots_assigned:16384');
            });
        }
        $redis = self::secured($port);
        for ($i = 0; $i < 100; $i++) {
            $redis->set("k:$i", $i);
        }
        self::assertSame(array_map(strval(...), range(0, 99)), array_map(static fn (int $i): string => $redis->get("k:$i"), range(0, 99)));
        self::assertGreaterThan(20, min($first->command('DBSIZE'), $second->command('DBSIZE')), 'keys of the node with fewer');
        self::assertContains("127.0.0.1:$other", array_column($redis->stats()['pools'], 'node'));
    }

    public function test_sessions_are_kept_under_tls(): void
    {
        [$server, $port] = $this->secureServer();
        $script = self::authority()->path('session.php');
        file_put_contents($script, "<?php session_id('abc'); session_start(); \$_SESSION['n'] = 7; session_write_close(); session_start(); echo \$_SESSION['n'];");
        $path = "tls://localhost:$port?ssl[cafile]=" . self::authority()->authority();
        $ini = ['session.save_handler' => 'resilient_redis', 'session.save_path' => "\"$path\"", 'session.use_cookies' => '0', 'session.cache_limiter' => ''];
        $process = Process::run(Extension::php($script, $ini));
        self::assertSame(['7', ''], [$process->output(), $process->errors()]);
        self::assertNotEmpty($server->command('KEYS', '*abc*'));
    }

    public function test_certificates_that_are_renewed_on_disk_are_read_by_the_next_connection(): void
    {
        [, $port] = $this->secureServer();
        $file = self::authority()->path('bundle.crt');
        copy((new Certificates('Another authority'))->authority(), $file);
        $redis = self::secured($port, ['cafile' => $file]);
        self::refusal($redis);
        copy(self::authority()->authority(), $file);
        self::assertSame('PONG', (string) $redis->ping());
    }

    public function test_a_child_closes_its_copies_without_a_word(): void
    {
        [, $port] = $this->secureServer();
        $redis = self::secured($port);
        $redis->set('k', 'of the parent');
        $code = <<<'PHP'
            [, $port, $ca] = $argv;
            $redis = new ResilientRedis(['scheme' => 'tls', 'host' => 'localhost', 'port' => $port, 'ssl' => ['cafile' => $ca]]);
            for ($i = 0; $i < 20; $i++) {
                $redis->set("k$i", $i);
                $child = pcntl_fork();
                if ($child === 0) {
                    $redis->set("c$i", $redis->get("k$i") + 1);
                    exit($redis->get("c$i") == $i + 1 ? 0 : 1);
                }
                for ($j = 0; $j < 50; $j++) {
                    if ($redis->get("k$i") != $i) {
                        exit(2);
                    }
                }
                pcntl_waitpid($child, $status);
                if ($status !== 0 || $redis->get("k$i") != $i) {
                    exit(3);
                }
            }
            echo $redis->info('clients')['Clients']['connected_clients'] ?? '?', ' ', ResilientRedis::resetPools() ?? '', "done\n";
            PHP;
        $script = self::authority()->path('fork.php');
        file_put_contents($script, "<?php\n$code\n");
        $process = Process::run(Extension::php($script, [], (string) $port, self::authority()->authority()), seconds: 30.0);
        self::assertSame('', $process->errors());
        self::assertStringEndsWith("done\n", $process->output());
    }

    public function test_a_session_that_is_resumed_carries_less_and_turns_less_often(): void
    {
        foreach (['TLSv1.2', 'TLSv1.3'] as $version) {
            [, $port] = $this->secureServer(directives: ['tls-protocols' => $version]);
            $relay = new Process([PHP_BINARY, '-n', __DIR__ . '/Support/bin/counting-relay.php', (string) $port]);
            $line = static fn (string $what): string => Wait::until($what, static fn (): ?array => $relay->newLines() ?: null)[0];
            $relayed = (int) $line('the relay listens');
            $carried = [];
            for ($i = 0; $i < 3; $i++) {
                self::secured($relayed)->ping();
                ResilientRedis::resetPools();
                [$up, $down, $turns] = explode(' ', $line('the relay has counted'));
                $carried[] = ['bytes' => $up + $down, 'turns' => (int) $turns];
            }
            [$full, , $resumed] = $carried;
            self::assertLessThan($full['bytes'] - 300, $resumed['bytes'], "$version: " . self::seen($carried));
            self::assertLessThanOrEqual($full['turns'] - ($version === 'TLSv1.2' ? 2 : 0), $resumed['turns'], "$version: " . self::seen($carried));
        }
    }
}
