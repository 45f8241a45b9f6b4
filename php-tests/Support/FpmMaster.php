<?php

declare(strict_types=1);

namespace Tests\Support;

/** A php-fpm of its own: the extension loaded, a fixed number of workers, a unix socket in a scratch folder. */
final class FpmMaster
{
    private readonly Process $process;

    private readonly string $folder;

    private readonly string $scripts;

    /**
     * @param array<string, string> $ini
     * @param list<string> $users
     * @param list<string> $extensions
     */
    private function __construct(string $scripts, int $workers, array $ini, array $users, array $extensions)
    {
        $this->folder = Scratch::folder('fpm');
        $this->scripts = $users === [] ? $scripts : $this->copied($scripts);
        $configuration = "[global]\nerror_log = $this->folder/log\nlog_level = notice\ndaemonize = no\n";
        foreach ($users === [] ? [null] : $users as $name) {
            $socket = $this->socket($name);
            $group = posix_getgrgid(posix_getpwnam($name ?? 'root')['gid'])['name'];
            $user = posix_getuid() === 0 ? sprintf("user = %s\ngroup = %s\n", $name ?? 'root', $group) : '';
            $pool = $name ?? 'www';
            $configuration .= <<<CONF
                [$pool]
                {$user}listen = $socket
                pm = static
                pm.max_children = $workers
                pm.max_requests = 0
                catch_workers_output = yes
                clear_env = no

                CONF;
        }
        file_put_contents("$this->folder/fpm.conf", $configuration);
        $command = [self::binary(), '-n', '-F', '-y', "$this->folder/fpm.conf"];
        if (posix_getuid() === 0) {
            $command[] = '-R';
        }
        $directives = $ini + Extension::settings() + ['display_errors' => '1', 'html_errors' => '0', 'opcache.enable' => '1'];
        if (is_file(ini_get('extension_dir') . '/opcache.so')) {
            array_push($command, '-d', 'zend_extension=opcache');
        }
        foreach ([Extension::path(), ...$extensions] as $extension) {
            array_push($command, '-d', "extension=$extension");
        }
        foreach ($directives as $name => $value) {
            array_push($command, '-d', "$name=$value");
        }
        $this->process = new Process($command, [], SIGTERM);
        Wait::until('php-fpm takes requests', function (): bool {
            if (!$this->process->isRunning()) {
                throw new \RuntimeException("php-fpm did not start:\n" . $this->process->errors() . $this->log());
            }

            return str_contains($this->log(), 'ready to handle connections');
        });
    }

    /**
     * @param string $scripts the folder of the PHP files that are requested
     * @param array<string, string> $ini
     * @param list<string> $users a pool of `$workers` for each of them; without any, one pool of our own user
     * @param list<string> $extensions what is loaded besides ours
     */
    public static function start(string $scripts, int $workers = 1, array $ini = [], array $users = [], array $extensions = []): self
    {
        return new self($scripts, $workers, $ini, $users, $extensions);
    }

    /** @param array<string, string|int> $query */
    public function request(string $script, array $query = []): FpmResponse
    {
        return $this->send($script, $query)->response();
    }

    /** @param array<string, string|int> $query */
    public function send(string $script, array $query = [], ?string $user = null): FastCgi
    {
        return new FastCgi($this->socket($user), "$this->scripts/$script", http_build_query($query));
    }

    /** @return list<int> the workers' process ids */
    public function workers(): array
    {
        $master = $this->process->pid();

        return array_map(intval(...), explode(' ', trim((string) file_get_contents("/proc/$master/task/$master/children"))));
    }

    public function log(): string
    {
        return (string) @file_get_contents("$this->folder/log");
    }

    /** What the master reported about workers that did not end by themselves. */
    public function crashes(): string
    {
        return implode("\n", preg_grep('/exited on signal/', explode("\n", $this->log())) ?: []);
    }

    public function stop(): void
    {
        $this->process->stop();
    }

    /** The scripts where every user can read them: a checkout may be its owner's alone. */
    private function copied(string $scripts): string
    {
        $folder = Scratch::folder('scripts');
        foreach (glob("$scripts/*.php") ?: [] as $script) {
            copy($script, "$folder/" . basename($script));
            chmod("$folder/" . basename($script), 0644);
        }

        return $folder;
    }

    /** Where the pool of that user listens. */
    private function socket(?string $user): string
    {
        return "$this->folder/socket" . ($user === null ? '' : "-$user");
    }

    private static function binary(): string
    {
        $version = PHP_MAJOR_VERSION . '.' . PHP_MINOR_VERSION;
        // The one that was built with this PHP stands first: another would not load an extension for this one.
        $folders = [dirname(PHP_BINDIR) . '/sbin', '/usr/sbin', '/usr/local/sbin', ...explode(':', (string) getenv('PATH'))];
        foreach ($folders as $folder) {
            foreach (["php-fpm$version", 'php-fpm'] as $name) {
                if (is_executable("$folder/$name")) {
                    return "$folder/$name";
                }
            }
        }

        throw new \RuntimeException("php-fpm of PHP $version was not found");
    }
}
